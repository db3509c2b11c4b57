/**
 * The way of a packet from a socket of one side to the socket of the other. What is usual is done on the sides' memory
 * alone; a side's objects are asked only for what is not: a source not locked yet, a key, SRTP, a fork.
 */
import { pcmaToPcmu, pcmuToPcma } from '../codec/g711.ts';
import { readRtp, writeHeader } from '../rtp/packet.ts';
import { receivePacket } from '../rtp/receiver.ts';
import { changeSource, placePacket, streamWords } from '../rtp/stream.ts';
import { totals, type SideNumber } from './messages.ts';
import * as native from './native.ts';
import { payloadTypeOf, sixfold, sixth, toPcma, toPcmu, unknownRoute, type Route } from './routes.ts';
import { receiving, sending, sideWords } from './side-memory.ts';
import type { Workbench, WorkerSession } from './worker-session.ts';

/** Packets of one socket taken in one go, so that no flood on it starves the others. */
const drainLimit = 64;
/**
 * A far end sends every 10 to 60 ms: when its last packet came longer ago than this, one is all that there is, and looking
 * for another would cost a system call a packet. After a stall the next look finds the rest.
 */
const betweenPacketsMs = 5;

export class PacketWay {
  readonly #bench: Workbench;
  readonly #words: Float64Array;
  readonly #totals: Float64Array;
  /** By the number of the caller's side, halved. */
  readonly #sessions: readonly (WorkerSession | undefined)[];

  constructor(bench: Workbench, sessions: readonly (WorkerSession | undefined)[]) {
    this.#bench = bench;
    this.#words = bench.words;
    this.#totals = bench.totals;
    this.#sessions = sessions;
  }

  /** Takes what has arrived on a side's RTP socket. @returns how many packets */
  drain(side: number, now: number, nowMicros: number): number {
    const words = this.#words;
    const first = side * sideWords.size;
    // Of a source that is not vouched for the queue is emptied, after which everything in it is.
    const more =
      (words[first + sideWords.receiving]! & receiving.vouched) === 0 ||
      now - words[first + sideWords.lastTakenAt]! < betweenPacketsMs;
    let taken = 0;
    do {
      const length = this.#receive(side, first, now);
      if (length < 0) break;
      taken += 1;
      if (length > 0) this.#take(side, first, length, now, nowMicros);
    } while (more && taken < drainLimit);
    return taken;
  }

  #receive(side: number, first: number, now: number): number {
    const words = this.#words;
    if ((words[first + sideWords.receiving]! & receiving.vouched) !== 0)
      return native.receiveConnected(words[first + sideWords.fd]!, this.#bench.packet);
    return this.#session(side).receive((side & 1) as SideNumber, now);
  }

  #take(side: number, first: number, length: number, now: number, nowMicros: number): void {
    const words = this.#words;
    const { packet, header } = this.#bench;
    if (!readRtp(packet.bytes, length, header)) {
      this.#session(side).strange((side & 1) as SideNumber, length);
      return;
    }
    const { sequence, timestamp, ssrc, payloadType } = header;
    receivePacket(words, first + sideWords.receiver, sequence, timestamp, ssrc, now);
    words[first + sideWords.lastTakenAt] = now;
    words[first + sideWords.lastPacketAt] = nowMicros;
    this.#totals[totals.packetsReceived]! += 1;
    const asked = words[first + sideWords.receiving]!;
    if ((asked & receiving.forked) !== 0)
      this.#session(side).copy((side & 1) as SideNumber, length, now, nowMicros);
    if ((asked & receiving.listened) !== 0) this.#session(side).listen((side & 1) as SideNumber, nowMicros);
    const route =
      payloadType === words[first + sideWords.audioType]
        ? words[first + sideWords.audioRoute]!
        : this.#session(side).routeOf((side & 1) as SideNumber, nowMicros);
    if (route >= 0) this.#relay(side ^ 1, length, route, now);
    else if (route === unknownRoute) this.#totals[totals['unknown-payload']]! += 1;
  }

  /** Sends on a packet, in place: header rewritten into the one stream that the side's far end hears. */
  #relay(side: number, length: number, route: Route, now: number): void {
    const words = this.#words;
    const first = side * sideWords.size;
    const open = words[first + sideWords.sending]!;
    if ((open & sending.open) === 0) return;
    const { packet, header } = this.#bench;
    if ((route & (toPcma | toPcmu)) !== 0)
      transcode(packet.bytes, header, (route & toPcma) !== 0 ? pcmuToPcma : pcmaToPcmu);
    else if ((route & (sixfold | sixth)) !== 0)
      scaleDuration(packet.bytes, header, (route & sixfold) !== 0 ? 6 : 1 / 6);
    const stream = first + sideWords.stream;
    let marker = header.marker;
    if (words[first + sideWords.source] !== header.ssrc) {
      words[first + sideWords.source] = header.ssrc;
      changeSource(words, stream);
      marker = true;
    }
    placePacket(words, stream, header.sequence, header.timestamp, now);
    writeHeader(
      packet.bytes,
      payloadTypeOf(route),
      marker,
      words[stream + streamWords.sequence]!,
      words[stream + streamWords.timestamp]!,
      words[stream + streamWords.ssrc]!,
    );
    if ((open & sending.direct) === 0) {
      this.#session(side).sides[side & 1]!.send(packet.bytes, length, header.payloadLength);
      return;
    }
    if (!native.sendConnected(words[first + sideWords.sendingFd]!, packet, length)) return;
    words[first + sideWords.packetsSent]! += 1;
    words[first + sideWords.octetsSent]! += header.payloadLength;
    this.#totals[totals.packetsSent]! += 1;
  }

  #session(side: number): WorkerSession {
    return this.#sessions[side >> 1]!;
  }
}

/** Of a telephone-event (RFC 4733 section 2.3.5). One too long for its field is said to last as long as the field can say. */
function scaleDuration(
  packet: Uint8Array,
  { payloadOffset: at }: { payloadOffset: number },
  by: number,
): void {
  const duration = Math.min(0xffff, Math.round(((packet[at + 2]! << 8) | packet[at + 3]!) * by));
  packet[at + 2] = duration >>> 8;
  packet[at + 3] = duration;
}

function transcode(
  packet: Uint8Array,
  { payloadOffset, payloadLength }: { payloadOffset: number; payloadLength: number },
  table: Uint8Array,
): void {
  const end = payloadOffset + payloadLength;
  for (let at = payloadOffset; at < end; at++) packet[at] = table[packet[at]!]!;
}
