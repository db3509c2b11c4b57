/** One side of a session in its worker: a pair of sockets, the far end that may use them, and the one stream it hears. */
import type { Digit } from '../plane.ts';
import { pcmaToPcmu, pcmuToPcma } from '../codec/g711.ts';
import { TelephoneEventReceiver } from '../dtmf/telephone-event.ts';
import { ReceiverStatistics } from '../rtp/receiver.ts';
import type { RtpHeader } from '../rtp/packet.ts';
import { OutgoingStream } from '../rtp/stream.ts';
import {
  frameBytes,
  frameMs,
  sideFields,
  totals,
  type Audio,
  type Latching,
  type SideTerms,
} from './messages.ts';
import * as native from './native.ts';

/** A learned source that has spoken this long without the signalled one is locked for good. */
const learningMs = 1_000;
/** A playback that was kept from running for longer than this goes on from now, and does not hurry after. */
const stallMs = 200;
const comfortNoise = 13;
const eagain = 11;

interface Playback {
  id: number;
  audio: Record<'PCMA' | 'PCMU', Uint8Array>;
  frames: number;
  repeat: boolean;
  startedAt: number;
  next: number;
}

/** How a playback ended. */
export interface PlaybackEnd {
  id: number;
  frames: number;
  complete: boolean;
}

export class WorkerSide {
  readonly fd: number;
  readonly rtcpFd: number;
  readonly stream = new OutgoingStream();
  readonly #latching: Latching;
  readonly #fields: Float64Array;
  readonly #totals: Float64Array;
  readonly #received = new ReceiverStatistics();
  readonly #events = new TelephoneEventReceiver();
  readonly #ownPacket = new Uint8Array(12 + frameBytes);
  terms: SideTerms | undefined;
  #signalled: Uint8Array | undefined;
  /** Where RTP for the far end goes: what it signalled, until it was seen to send from elsewhere. */
  #target: Uint8Array | undefined;
  #learned: Uint8Array | undefined;
  #learnedAt = 0;
  #connected = false;
  /** Whether everything in the socket's queue came after it was connected, so that the kernel has vouched for it. */
  #clean = false;
  #playback: Playback | undefined;
  #source = -1;
  #lastEvent = -1;
  #mutedEvent = -1;

  constructor(
    { address, port, latching }: { address: string; port: number; latching: Latching },
    fields: Float64Array,
    planeTotals: Float64Array,
  ) {
    this.fd = native.openUdp(address, port);
    try {
      this.rtcpFd = native.openUdp(address, port + 1);
    } catch (error) {
      native.closeSocket(this.fd);
      throw error;
    }
    this.#latching = latching;
    this.#fields = fields;
    this.#totals = planeTotals;
  }

  close(): void {
    native.closeSocket(this.fd);
    native.closeSocket(this.rtcpFd);
  }

  /** The far end agreed to new terms. A new address is latched afresh; the same one keeps its lock. */
  agree(terms: SideTerms | undefined): void {
    const before = this.terms;
    this.terms = terms;
    if (terms === undefined) {
      this.#forget();
      return;
    }
    if (before?.address === terms.address && before.port === terms.port) return;
    this.#forget();
    this.#signalled = native.socketAddress(terms.address, terms.port);
    this.#target = this.#signalled;
  }

  #forget(): void {
    if (this.#connected) native.disconnectUdp(this.fd);
    this.#connected = false;
    this.#clean = false;
    this.#signalled = undefined;
    this.#target = undefined;
    this.#learned = undefined;
  }

  /** Next packet of the far end into `buffer`; its length, 0 for one that is not the far end's, -1 when none is left. */
  receive(buffer: Uint8Array, source: Uint8Array, now: number): number {
    if (this.#connected && this.#clean) return native.receiveConnected(this.fd, buffer);
    const length = native.receiveFrom(this.fd, buffer, source);
    if (length < 0) {
      if (this.#connected) this.#clean = native.lastError() === eagain;
      return length;
    }
    if (this.#admit(source, now)) return length;
    this.#fields[sideFields.wrongSource]! += 1;
    this.#totals[totals['wrong-source']]! += 1;
    return 0;
  }

  #admit(source: Uint8Array, now: number): boolean {
    const signalled = this.#signalled;
    if (signalled === undefined) return false;
    if (this.#connected) return sameAddress(source, this.#target ?? signalled, true);
    if (sameAddress(source, signalled, true)) {
      this.#lock(signalled);
      return true;
    }
    if (this.#latching !== 'address' || !sameAddress(source, signalled, false)) return false;
    if (this.#learned === undefined) {
      this.#learned = source.slice(0, signalled.length);
      this.#learnedAt = now;
      this.#target = this.#learned;
      return true;
    }
    if (!sameAddress(source, this.#learned, true)) return false;
    if (now - this.#learnedAt > learningMs) this.#lock(this.#learned);
    return true;
  }

  #lock(remote: Uint8Array): void {
    this.#target = remote;
    this.#connected = native.connectUdp(this.fd, remote);
    this.#clean = false;
  }

  /** Counts a packet of the far end. */
  count(header: RtpHeader, now: number, nowMicros: number): void {
    this.#received.receive(header.sequence, header.timestamp, header.ssrc, now);
    const fields = this.#fields;
    fields[sideFields.packetsReceived]! += 1;
    fields[sideFields.packetsLost] = this.#received.lost;
    fields[sideFields.jitterTicks] = this.#received.jitter;
    fields[sideFields.lastPacketAt] = nowMicros;
    this.#totals[totals.packetsReceived]! += 1;
  }

  /** The key that this telephone-event packet begins; undefined when it goes on with one that was heard. */
  hear(packet: Uint8Array, header: RtpHeader): Digit | undefined {
    this.#lastEvent = header.timestamp;
    return this.#events.receive(packet, header.payloadOffset, header.payloadLength, header.timestamp);
  }

  isEvent(payloadType: number): boolean {
    return payloadType === this.terms?.eventType || payloadType === this.terms?.receivedEventType;
  }

  /** A key that is being pressed while the sides are put together belongs to the time before: it is not handed on. */
  muteCurrentEvent(): void {
    this.#mutedEvent = this.#lastEvent;
  }

  isMuted(header: RtpHeader): boolean {
    return header.timestamp === this.#mutedEvent;
  }

  get playing(): boolean {
    return this.#playback !== undefined;
  }

  /** Sends on a packet that came from `from`, in place: header rewritten into this side's one stream. */
  relay(packet: Uint8Array, length: number, header: RtpHeader, from: WorkerSide, now: number): void {
    const terms = this.terms;
    const theirs = from.terms;
    if (terms === undefined || theirs === undefined || !terms.listening || this.#playback !== undefined)
      return;
    let payloadType: number;
    if (header.payloadType === theirs.audioType) {
      payloadType = terms.audioType;
      if (terms.codec !== theirs.codec)
        transcode(packet, header, terms.codec === 'PCMA' ? pcmuToPcma : pcmaToPcmu);
    } else if (from.isEvent(header.payloadType)) {
      if (terms.eventType === undefined || from.isMuted(header)) return;
      payloadType = terms.eventType;
    } else if (header.payloadType === comfortNoise) {
      payloadType = comfortNoise;
    } else {
      this.#totals[totals['unknown-payload']]! += 1;
      return;
    }
    let marker = header.marker;
    if (this.#source !== header.ssrc) {
      this.#source = header.ssrc;
      this.stream.startSource(now);
      marker = true;
    }
    this.stream.next(header.sequence, header.timestamp, now);
    writeHeader(packet, payloadType, marker, this.stream);
    this.#send(packet, length);
  }

  #send(packet: Uint8Array, length: number): boolean {
    const target = this.#target;
    if (target === undefined) return false;
    const sent = this.#connected
      ? native.sendConnected(this.fd, packet, length)
      : native.sendTo(this.fd, packet, length, target);
    if (sent) {
      this.#fields[sideFields.packetsSent]! += 1;
      this.#totals[totals.packetsSent]! += 1;
    }
    return sent;
  }

  /** Starts a playback; one that was running is over, not complete. */
  play(id: number, audio: Audio, repeat: boolean, now: number): PlaybackEnd | undefined {
    const ended = this.silence();
    const bytes = { PCMA: new Uint8Array(audio.PCMA), PCMU: new Uint8Array(audio.PCMU) };
    const frames = Math.floor(bytes.PCMA.length / frameBytes);
    this.#playback = { id, audio: bytes, frames, repeat, startedAt: now, next: 0 };
    this.#source = -1;
    this.stream.startSource(now);
    return ended;
  }

  /** Ends a playback where it is. */
  hush(id: number | undefined): PlaybackEnd | undefined {
    const playback = this.#playback;
    if (playback === undefined || playback.id !== id) return undefined;
    this.#playback = undefined;
    this.#source = -1;
    return { id: playback.id, frames: playback.next, complete: false };
  }

  /** Ends whatever is playing. */
  silence(): PlaybackEnd | undefined {
    return this.hush(this.#playback?.id);
  }

  /** Sends the frames that are due; tells when the playback is over: played to its end, or the far end cannot hear it. */
  advance(now: number): PlaybackEnd | undefined {
    const playback = this.#playback;
    if (playback === undefined) return undefined;
    const behind = now - playback.startedAt - playback.next * frameMs;
    if (behind > stallMs) playback.startedAt += behind;
    while (playback.startedAt + playback.next * frameMs <= now) {
      if (playback.next === playback.frames && !playback.repeat) {
        this.#playback = undefined;
        this.#source = -1;
        return { id: playback.id, frames: playback.next, complete: true };
      }
      const sent = this.#playFrame(playback, now);
      if (!sent && !playback.repeat) return this.hush(playback.id);
      playback.next += 1;
    }
    return undefined;
  }

  #playFrame(playback: Playback, now: number): boolean {
    const terms = this.terms;
    if (terms === undefined || !terms.listening) return false;
    const at = (playback.next % playback.frames) * frameBytes;
    const packet = this.#ownPacket;
    packet[0] = 0x80;
    packet.set(playback.audio[terms.codec].subarray(at, at + frameBytes), 12);
    this.stream.nextOwn(frameBytes, now);
    writeHeader(packet, terms.audioType, playback.next === 0, this.stream);
    return this.#send(packet, packet.length);
  }
}

function transcode(packet: Uint8Array, header: RtpHeader, table: Uint8Array): void {
  const end = header.payloadOffset + header.payloadLength;
  for (let at = header.payloadOffset; at < end; at++) packet[at] = table[packet[at]!]!;
}

/** Sets type, marker, sequence, timestamp and SSRC; version, padding, extension and CSRC stay as they are. */
function writeHeader(
  packet: Uint8Array,
  payloadType: number,
  marker: boolean,
  { sequence, timestamp, ssrc }: OutgoingStream,
): void {
  packet[1] = (marker ? 0x80 : 0) | payloadType;
  packet[2] = sequence >>> 8;
  packet[3] = sequence;
  packet[4] = timestamp >>> 24;
  packet[5] = timestamp >>> 16;
  packet[6] = timestamp >>> 8;
  packet[7] = timestamp;
  packet[8] = ssrc >>> 24;
  packet[9] = ssrc >>> 16;
  packet[10] = ssrc >>> 8;
  packet[11] = ssrc;
}

/** Compares two `sockaddr`s by family and address, and by port if asked. */
function sameAddress(a: Uint8Array, b: Uint8Array, portToo: boolean): boolean {
  if (a[0] !== b[0] || a[1] !== b[1]) return false;
  if (portToo && (a[2] !== b[2] || a[3] !== b[3])) return false;
  const [from, to] = b.length === 16 ? [4, 8] : [8, 24];
  for (let at = from; at < to; at++) if (a[at] !== b[at]) return false;
  return true;
}
