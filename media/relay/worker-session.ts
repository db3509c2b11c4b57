/** A session in its worker: two sides, whether they hear each other, and the fork that copies what arrives. */
import type { RtpHeader } from '../rtp/packet.ts';
import { isRtcp } from '../rtp/packet.ts';
import { rewriteRtcp } from '../rtp/rtcp.ts';
import type { EpochMicros } from '../../config/units.ts';
import type { Digit } from '../plane.ts';
import {
  totals,
  type Command,
  type ForkCounts,
  type Report,
  type SideNumber,
  type SideTerms,
} from './messages.ts';
import type { PacketMemory } from './native.ts';
import type { ParcelWriter } from './parcel.ts';
import type { PlaybackEnd } from './playback.ts';
import { eventRoute, routesBetween, unwantedRoute, type Route } from './routes.ts';
import { WorkerFork } from './worker-fork.ts';
import { WorkerSide } from './worker-side.ts';

/** RTCP packets of one socket taken in one go. */
const rtcpLimit = 8;

/** What all sessions of a worker share: nothing is allocated for a packet. */
export interface Workbench {
  /** The packet that is on its way, its source and its header. */
  packet: PacketMemory;
  source: Uint8Array;
  header: RtpHeader;
  /** The sides' numbers (`side-memory.ts`). */
  words: Float64Array;
  totals: Float64Array;
  parcel: ParcelWriter;
  report: (report: Report, transfer?: ArrayBuffer[]) => void;
}

export class WorkerSession {
  readonly id: number;
  /** Number of the caller's side in the worker's memory. */
  readonly place: number;
  readonly sides: readonly [WorkerSide, WorkerSide];
  readonly #bench: Workbench;
  /** Of packets from the caller's side, and from the agent's. */
  #routes = [routesBetween(undefined, undefined), routesBetween(undefined, undefined)] as const;
  #connected = false;
  #fork: WorkerFork | undefined;

  constructor({ session, sides, place }: Extract<Command, { do: 'open' }>, bench: Workbench) {
    this.id = session;
    this.place = place;
    this.#bench = bench;
    this.sides = [new WorkerSide(sides[0], place, bench), new WorkerSide(sides[1], place + 1, bench)];
    this.#setRoutes();
  }

  /** Ends playbacks, not complete. */
  close(): void {
    for (const side of this.sides) {
      this.ended(side.silence());
      side[Symbol.dispose]();
    }
  }

  agree(number: SideNumber, terms: SideTerms | undefined): void {
    this.ended(this.sides[number].agree(terms));
    this.#setRoutes();
  }

  connect(connected: boolean): void {
    if (connected && !this.#connected) for (const side of this.sides) side.muteCurrentEvent();
    this.#connected = connected;
    this.#setRoutes();
  }

  #setRoutes(): void {
    const [caller, agent] = this.sides;
    this.#routes = [routesBetween(caller.terms, agent.terms), routesBetween(agent.terms, caller.terms)];
    for (const number of [0, 1] as const) {
      const { terms } = this.sides[number];
      this.sides[number].audioRoute =
        terms === undefined || !this.#connected
          ? unwantedRoute
          : this.#routes[number][terms.receivedAudioType ?? terms.audioType]!;
    }
  }

  /** Next packet of a side whose source the kernel does not vouch for, or that is not plain RTP. */
  receive(number: SideNumber, now: number): number {
    return this.sides[number].receive(now);
  }

  /** The way of a packet that is not audio. */
  routeOf(number: SideNumber, nowMicros: number): Route {
    const { header } = this.#bench;
    const side = this.sides[number];
    if (side.isEvent(header.payloadType)) this.#hear(number, nowMicros);
    if (!this.#connected) return unwantedRoute;
    const route = this.#routes[number][header.payloadType]!;
    return route > 0 && (route & eventRoute) !== 0 && side.isMuted(header) ? unwantedRoute : route;
  }

  #hear(number: SideNumber, nowMicros: number): void {
    const digit = this.sides[number].hear(this.#bench.packet.bytes, this.#bench.header);
    if (digit !== undefined) this.#tell(number, digit, nowMicros);
  }

  /** Listens to the packet that is on its way. */
  listen(number: SideNumber, nowMicros: number): void {
    const digit = this.sides[number].listen(this.#bench.packet.bytes, this.#bench.header, nowMicros);
    if (digit !== undefined) this.#tell(number, digit, nowMicros);
  }

  #tell(number: SideNumber, digit: Digit, nowMicros: number): void {
    this.#bench.report({
      tell: 'digit',
      session: this.id,
      side: number,
      digit,
      at: nowMicros as EpochMicros,
    });
  }

  copy(number: SideNumber, length: number, now: number, nowMicros: number): void {
    this.#fork?.copy(number, this.#bench.packet.bytes, length, now, nowMicros);
  }

  /** A packet on an RTP socket that is not RTP: RTCP, where both share the port, or nothing that we know. */
  strange(number: SideNumber, length: number): void {
    if (this.sides[number].terms?.rtcpMux === true && isRtcp(this.#bench.packet.bytes, length))
      this.#relayRtcp(number, length);
    else this.#bench.totals[totals.malformed]! += 1;
  }

  /** Takes what has arrived on one side's RTCP socket. */
  drainRtcp(number: SideNumber, now: number): void {
    for (let taken = 0; taken < rtcpLimit; taken++) {
      const length = this.sides[number].receiveRtcp(now);
      if (length < 0) return;
      if (isRtcp(this.#bench.packet.bytes, length)) this.#relayRtcp(number, length);
    }
  }

  /** Between sides that hear each other RTCP is handed on, rewritten; else it has nobody to speak of. */
  #relayRtcp(number: SideNumber, length: number): void {
    const { bytes } = this.#bench.packet;
    const other = this.sides[number === 0 ? 1 : 0];
    if (!this.#connected) return;
    const { first, highest } = other.sourceSequence;
    const mapped = rewriteRtcp(bytes, length, {
      sender: other.ssrc,
      reported: Math.max(0, other.sourceSsrc),
      source: { first, highest, sequenceOffset: this.sides[number].sequenceOffset },
      timestampOffset: other.timestampOffset,
      sent: other.sent,
    });
    if (mapped > 0) other.sendRtcp(bytes, mapped);
  }

  /** Playbacks go on by the clock. */
  advance(now: number): void {
    for (const side of this.sides) this.ended(side.advance(now));
  }

  ended(end: PlaybackEnd | undefined): void {
    if (end === undefined) return;
    this.#bench.report({ tell: 'played', playback: end.id, frames: end.frames, complete: end.complete });
  }

  /** Whether something must be sent by the clock, and not only when a packet comes. */
  get playing(): boolean {
    return this.sides[0].playing || this.sides[1].playing;
  }

  fork(id: number, now: number): void {
    this.#fork = new WorkerFork(id, this.#bench.parcel, now);
    for (const side of this.sides) side.forked = true;
  }

  pause(paused: boolean): void {
    if (this.#fork !== undefined) this.#fork.paused = paused;
  }

  flushIfDue(now: number): void {
    this.#fork?.flushIfDue(now);
  }

  /** Stops copying; what was copied is in the parcel when this returns. */
  unfork(now: number, nowMicros: EpochMicros): ForkCounts {
    const fork = this.#fork;
    this.#fork = undefined;
    for (const side of this.sides) side.forked = false;
    return fork?.end(now, nowMicros) ?? { at: nowMicros, packets: [0, 0], bytes: [0, 0] };
  }
}
