/** A session in its worker: two sides, whether they hear each other, and the fork that copies what arrives. */
import { BatchWriter } from '../fork/batch.ts';
import type { RtpHeader } from '../rtp/packet.ts';
import { isRtcp, readRtp } from '../rtp/packet.ts';
import { rewriteRtcp } from '../rtp/rtcp.ts';
import type { EpochMicros } from '../../config/units.ts';
import {
  sideFields,
  sideNames,
  totals,
  type Command,
  type ForkCounts,
  type Report,
  type SideNumber,
} from './messages.ts';
import * as native from './native.ts';
import { WorkerSide, type PlaybackEnd } from './worker-side.ts';

/** Copies wait for company at most this long. */
const batchMs = 40;
/** Packets of one socket taken in one go, so that no flood on it starves the others. */
const drainLimit = 64;

/** What all sessions of a worker share: nothing is allocated for a packet. */
export interface Workbench {
  buffer: Uint8Array;
  source: Uint8Array;
  header: RtpHeader;
  totals: Float64Array;
  report: (report: Report, transfer?: ArrayBuffer[]) => void;
}

interface Fork {
  id: number;
  writer: BatchWriter;
  sequence: number;
  paused: boolean;
  flushAt: number;
  packets: [number, number];
  bytes: [number, number];
}

export class WorkerSession {
  readonly id: number;
  readonly sides: readonly [WorkerSide, WorkerSide];
  readonly #bench: Workbench;
  readonly #sourceSsrc: [number, number] = [0, 0];
  #connected = false;
  #fork: Fork | undefined;

  constructor(
    { session, address, ports, latching, statistics }: Extract<Command, { do: 'open' }>,
    bench: Workbench,
  ) {
    this.id = session;
    this.#bench = bench;
    const side = (number: SideNumber): WorkerSide =>
      new WorkerSide(
        { address, port: ports[number], latching },
        new Float64Array(statistics, number * sideFields.size * 8, sideFields.size),
        bench.totals,
      );
    const caller = side(0);
    try {
      this.sides = [caller, side(1)];
    } catch (error) {
      caller.close();
      throw error;
    }
  }

  /** Ends playbacks (not complete) and closes the sockets. */
  close(): void {
    for (const side of this.sides) {
      this.ended(side.silence());
      side.close();
    }
  }

  connect(connected: boolean): void {
    if (connected && !this.#connected) for (const side of this.sides) side.muteCurrentEvent();
    this.#connected = connected;
  }

  /** Takes what has arrived for one side's RTP socket. */
  drain(number: SideNumber, now: number, nowMicros: number): void {
    const { buffer, source, header, totals: counts } = this.#bench;
    const side = this.sides[number];
    const other = this.sides[number === 0 ? 1 : 0];
    for (let taken = 0; taken < drainLimit; taken++) {
      const length = side.receive(buffer, source, now);
      if (length < 0) return;
      if (length === 0) continue;
      if (!readRtp(buffer, length, header)) {
        counts[totals.malformed]! += 1;
        continue;
      }
      side.count(header, now, nowMicros);
      this.#sourceSsrc[number] = header.ssrc;
      if (side.isEvent(header.payloadType)) this.#hear(number, nowMicros);
      this.#copy(number, length, now, nowMicros);
      if (this.#connected) other.relay(buffer, length, header, side, now);
    }
  }

  #hear(number: SideNumber, nowMicros: number): void {
    const digit = this.sides[number].hear(this.#bench.buffer, this.#bench.header);
    if (digit === undefined) return;
    this.#bench.report({
      tell: 'digit',
      session: this.id,
      side: number,
      digit,
      at: nowMicros as EpochMicros,
    });
  }

  /** Takes what has arrived for one side's RTCP socket: handed on between sides that hear each other, else dropped. */
  drainRtcp(number: SideNumber): void {
    const { buffer, source } = this.#bench;
    const side = this.sides[number];
    const otherNumber: SideNumber = number === 0 ? 1 : 0;
    const other = this.sides[otherNumber];
    for (let taken = 0; taken < drainLimit; taken++) {
      const length = native.receiveFrom(side.rtcpFd, buffer, source);
      if (length < 0) return;
      const from = side.terms;
      const to = other.terms;
      if (!this.#connected || from === undefined || to === undefined || !isRtcp(buffer, length)) continue;
      const expected = native.socketAddress(from.address, from.rtcpPort);
      if (!expected.every((byte, at) => source[at] === byte)) continue;
      const mapped = rewriteRtcp(buffer, length, {
        sender: other.stream.ssrc,
        reported: this.#sourceSsrc[otherNumber],
        timestampOffset: other.stream.timestampOffset,
      });
      if (mapped > 0)
        native.sendTo(other.rtcpFd, buffer, mapped, native.socketAddress(to.address, to.rtcpPort));
    }
  }

  /** Playbacks and the fork's batch go on by the clock. */
  advance(now: number): void {
    for (const side of this.sides) this.ended(side.advance(now));
    if (this.#fork !== undefined && now >= this.#fork.flushAt) this.#flush(this.#fork, now);
  }

  ended(end: PlaybackEnd | undefined): void {
    if (end === undefined) return;
    this.#bench.report({ tell: 'played', playback: end.id, frames: end.frames, complete: end.complete });
  }

  /** Whether something must happen by the clock, and not only when a packet comes. */
  get clocked(): boolean {
    return this.#fork !== undefined || this.sides[0].playing || this.sides[1].playing;
  }

  fork(id: number, now: number): void {
    this.#fork = {
      id,
      writer: new BatchWriter(),
      sequence: 0,
      paused: false,
      flushAt: now + batchMs,
      packets: [0, 0],
      bytes: [0, 0],
    };
  }

  pause(paused: boolean): void {
    if (this.#fork !== undefined) this.#fork.paused = paused;
  }

  /** Stops copying; what was copied is reported before this returns. */
  unfork(now: number, nowMicros: number): ForkCounts {
    const fork = this.#fork;
    this.#fork = undefined;
    if (fork !== undefined) this.#flush(fork, now);
    return { at: nowMicros as EpochMicros, packets: fork?.packets ?? [0, 0], bytes: fork?.bytes ?? [0, 0] };
  }

  #copy(number: SideNumber, length: number, now: number, nowMicros: number): void {
    const fork = this.#fork;
    if (fork === undefined || fork.paused) return;
    const { buffer } = this.#bench;
    const side = sideNames[number]!;
    if (!fork.writer.append(fork.sequence, side, nowMicros, buffer, 0, length)) {
      this.#flush(fork, now);
      fork.writer.append(fork.sequence, side, nowMicros, buffer, 0, length);
    }
    fork.sequence += 1;
    fork.packets[number] += 1;
    fork.bytes[number] += length;
  }

  #flush(fork: Fork, now: number): void {
    fork.flushAt = now + batchMs;
    if (fork.writer.count === 0) return;
    const batch = fork.writer.take();
    this.#bench.report({ tell: 'batch', fork: fork.id, batch }, [batch.buffer]);
  }
}
