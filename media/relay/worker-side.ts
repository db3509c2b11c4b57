/** One side of a session in its worker: the far end that may use its sockets, and what it is sent by us. */
import type { MessagePort } from 'node:worker_threads';
import type { EpochMicros } from '../../config/units.ts';
import { formats, isG711, type CodecName } from '../codec/formats.ts';
import type { Digit, SaidAudio } from '../plane.ts';
import { InBandReceiver } from '../dtmf/in-band.ts';
import { TelephoneEventReceiver } from '../dtmf/telephone-event.ts';
import type { RtpHeader } from '../rtp/packet.ts';
import { rtpHeaderBytes, writeHeader } from '../rtp/packet.ts';
import { receiverWords } from '../rtp/receiver.ts';
import { changeSource, placeOwn, streamWords } from '../rtp/stream.ts';
import { FarEnd } from './far-end.ts';
import { frameMs, totals, type SideSockets, type SideTerms } from './messages.ts';
import type { Encoded } from '../prompts/encoded.ts';
import { hearsOn, Playback, type PlaybackEnd } from './playback.ts';
import { receiving, sending, sideWords, startSide } from './side-memory.ts';
import { SrtpGuards } from './srtp-guard.ts';
import type { Workbench } from './worker-session.ts';

/**
 * What stands between the wire and a side that does not speak plain RTP (SRTP). All work in place and give the new length;
 * 0 when the packet must go no further.
 */
export interface PacketGuard {
  /** A packet as it came off the wire, before anybody looks into it. */
  open(packet: Uint8Array, length: number): number;
  /** A packet that is complete, before it goes onto the wire; there is room for what is appended. */
  seal(packet: Uint8Array, length: number): number;
  openRtcp(packet: Uint8Array, length: number): number;
  sealRtcp(packet: Uint8Array, length: number): number;
}

/** The largest frame of a prompt: Opus may take what it needs. */
const largestFrame = 1_276;
/** Room behind a packet of ours for what a guard appends. */
const guardRoom = 64;

export class WorkerSide implements Disposable {
  readonly rtp: FarEnd;
  readonly rtcp: FarEnd;
  readonly #bench: Workbench;
  /** Where the side's numbers begin in the worker's memory. */
  readonly #first: number;
  readonly #events = new TelephoneEventReceiver();
  /** Where keys come as tones in the audio: of a far end that agreed to no telephone-event. */
  #tones: InBandReceiver | undefined;
  #listener: MessagePort | undefined;
  readonly #ownPacket = new Uint8Array(rtpHeaderBytes + largestFrame + guardRoom);
  readonly #guards = new SrtpGuards();
  #guard: PacketGuard | undefined;
  #terms: SideTerms | undefined;
  #playback: Playback | undefined;
  #forked = false;
  #lastEvent = -1;
  #mutedEvent = -1;

  /** @param place the side's number in the worker's memory */
  constructor(sockets: SideSockets, place: number, bench: Workbench) {
    this.rtp = new FarEnd(sockets.rtp, sockets.latching);
    this.rtcp = new FarEnd(sockets.rtcp, sockets.latching);
    this.#bench = bench;
    this.#first = place * sideWords.size;
    startSide(bench.words, place, sockets.rtp);
  }

  get terms(): SideTerms | undefined {
    return this.#terms;
  }

  /** SSRC of the stream that the far end hears. */
  get ssrc(): number {
    return this.#bench.words[this.#first + sideWords.stream + streamWords.ssrc]!;
  }

  /** What a sender report says of that stream: all that it held, whoever spoke in it. */
  get sent(): { packets: number; octets: number } {
    const { words } = this.#bench;
    return {
      packets: words[this.#first + sideWords.packetsSent]!,
      octets: words[this.#first + sideWords.octetsSent]!,
    };
  }

  /** Offset between the timestamps of the stream's source and ours. */
  get timestampOffset(): number {
    return this.#bench.words[this.#first + sideWords.stream + streamWords.timestampOffset]!;
  }

  /** What is added to the sequence numbers of the stream's source. */
  get sequenceOffset(): number {
    return this.#bench.words[this.#first + sideWords.stream + streamWords.sequenceOffset]!;
  }

  /** Sequence numbers of the far end, extended by the cycles: the first and the highest. */
  get sourceSequence(): { first: number; highest: number } {
    const { words } = this.#bench;
    const receiver = this.#first + sideWords.receiver;
    return {
      first: words[receiver + receiverWords.base]!,
      highest: words[receiver + receiverWords.highest]!,
    };
  }

  /** SSRC that the far end sends with; -1 when it has sent nothing. */
  get sourceSsrc(): number {
    return this.#bench.words[this.#first + sideWords.receiver + receiverWords.ssrc]!;
  }

  /**
   * The far end agreed to new terms. A new address is latched afresh; the same one keeps its lock.
   *
   * @returns the end of a prompt that is not heard to its end where it began (I1), however short a hold is
   */
  agree(terms: SideTerms | undefined): PlaybackEnd | undefined {
    const playback = this.#playback;
    const moved = playback !== undefined && !playback.repeat && !hearsOn(this.#terms, terms);
    const guard = terms?.srtp === undefined ? undefined : this.#guards.of(terms.srtp);
    // A place that was locked without a key is not to be believed where there is one.
    if (terms === undefined || (guard !== undefined && this.#guard === undefined)) {
      this.rtp.forget();
      this.rtcp.forget();
    }
    this.#terms = terms;
    this.#guard = guard;
    this.#tones = sendsTones(terms) ? (this.#tones ?? new InBandReceiver()) : undefined;
    if (terms !== undefined) {
      const { words } = this.#bench;
      words[this.#first + sideWords.stream + streamWords.ticksPerMs] = terms.clockRate / 1_000;
      words[this.#first + sideWords.receiver + receiverWords.ticksPerMs] = terms.clockRate / 1_000;
      this.rtp.moveTo(terms.address, terms.port);
      this.rtcp.moveTo(terms.rtcpAddress ?? terms.address, terms.rtcpPort);
    }
    this.#publish();
    return moved ? this.#endPlayback(playback, false) : undefined;
  }

  set forked(forked: boolean) {
    this.#forked = forked;
    this.#publish();
  }

  /** Where the far end's audio goes; the other routes are the session's. */
  set audioRoute(route: number) {
    const { words } = this.#bench;
    words[this.#first + sideWords.audioType] = this.#terms?.receivedAudioType ?? this.#terms?.audioType ?? -1;
    words[this.#first + sideWords.audioRoute] = route;
  }

  /** Next packet of the far end; its length, 0 for one that may not be heard, -1 when none is left. */
  receive(now: number): number {
    const { packet, source, words } = this.#bench;
    const length = this.rtp.receive(packet.bytes, source);
    if (length === 0) {
      words[this.#first + sideWords.wrongSource]! += 1;
      this.#bench.totals[totals['wrong-source']]! += 1;
      return 0;
    }
    const open = length < 0 || this.#guard === undefined ? length : this.#guard.open(packet.bytes, length);
    this.#heard(this.rtp, open, now);
    this.#publish();
    return open;
  }

  /** Next RTCP packet of the far end, as `receive`. */
  receiveRtcp(now: number): number {
    const { packet, source } = this.#bench;
    const length = this.rtcp.receive(packet.bytes, source);
    if (length <= 0) return length;
    const open = this.#guard === undefined ? length : this.#guard.openRtcp(packet.bytes, length);
    this.#heard(this.rtcp, open, now);
    return open;
  }

  /** Only who is the far end for sure may say where it is: who knows its address alone takes nobody's place. */
  #heard(socket: FarEnd, length: number, now: number): void {
    if (length > 0) socket.trust(this.#bench.source, now);
    else if (length === 0) this.#bench.totals[totals.unauthentic]! += 1;
  }

  [Symbol.dispose](): void {
    this.#listener?.close();
    this.#guards[Symbol.dispose]();
  }

  /** Tells the way of packets what is usual of this side. */
  #publish(): void {
    const { words } = this.#bench;
    const plain = this.#guard === undefined;
    words[this.#first + sideWords.receiving] =
      (plain && this.rtp.vouched ? receiving.vouched : 0) |
      (this.#forked ? receiving.forked : 0) |
      (this.#tones === undefined && this.#listener === undefined ? 0 : receiving.listened);
    const open = this.#terms?.listening === true && this.#playback === undefined;
    words[this.#first + sideWords.sending] =
      (open ? sending.open : 0) | (plain && this.rtp.connected ? sending.direct : 0);
  }

  /** The key that this telephone-event packet begins; undefined when it goes on with one that was heard. */
  hear(packet: Uint8Array, header: RtpHeader): Digit | undefined {
    this.#lastEvent = header.timestamp;
    return this.#events.receive(packet, header.payloadOffset, header.payloadLength, header.timestamp);
  }

  /** Hands what is said to whoever listens. @returns the key whose tones this packet completes */
  listen(packet: Uint8Array, header: RtpHeader, nowMicros: number): Digit | undefined {
    const { payloadType, payloadOffset, payloadLength, timestamp } = header;
    const codec = this.#codecOf(payloadType);
    if (codec === undefined) return undefined;
    if (this.#listener !== undefined) {
      const payload = packet.slice(payloadOffset, payloadOffset + payloadLength);
      this.#listener.postMessage({ codec, payload, at: nowMicros as EpochMicros } satisfies SaidAudio);
    }
    if (!isG711(codec)) return undefined;
    return this.#tones?.receive(codec, packet, payloadOffset, payloadLength, timestamp);
  }

  /** Who hears what the far end says; the one before is let go. */
  set listener(listener: MessagePort | undefined) {
    this.#listener?.close();
    this.#listener = listener;
    this.#publish();
  }

  #codecOf(payloadType: number): CodecName | undefined {
    const terms = this.#terms;
    if (payloadType === terms?.audioType || payloadType === terms?.receivedAudioType) return terms.codec;
    if (payloadType === formats.PCMA.staticType) return 'PCMA';
    return payloadType === formats.PCMU.staticType ? 'PCMU' : undefined;
  }

  isEvent(payloadType: number): boolean {
    const terms = this.#terms;
    return (
      terms !== undefined && (payloadType === terms.eventType || payloadType === terms.receivedEventType)
    );
  }

  /** A key that is being pressed while the sides are put together belongs to the time before: it is not handed on. */
  muteCurrentEvent(): void {
    this.#mutedEvent = this.#lastEvent;
  }

  isMuted(header: RtpHeader): boolean {
    return header.timestamp === this.#mutedEvent;
  }

  /** Sends a packet that is complete, of which so many bytes are payload. */
  send(packet: Uint8Array, length: number, payloadBytes: number): boolean {
    const sealed = this.#guard === undefined ? length : this.#guard.seal(packet, length);
    if (sealed === 0 || !this.rtp.send(packet, sealed)) return false;
    const { words } = this.#bench;
    words[this.#first + sideWords.packetsSent]! += 1;
    words[this.#first + sideWords.octetsSent]! += payloadBytes;
    this.#bench.totals[totals.packetsSent]! += 1;
    return true;
  }

  /** Sends RTCP that was rewritten for this side. */
  sendRtcp(packet: Uint8Array, length: number): void {
    const sealed = this.#guard === undefined ? length : this.#guard.sealRtcp(packet, length);
    if (sealed > 0) (this.#terms?.rtcpMux === true ? this.rtp : this.rtcp).send(packet, sealed);
  }

  get playing(): boolean {
    return this.#playback !== undefined;
  }

  /** Starts a playback; one that was running is over, not complete. */
  play(id: number, audio: Encoded, repeat: boolean, now: number): PlaybackEnd | undefined {
    const ended = this.silence();
    this.#playback = new Playback(id, audio, repeat, now);
    this.#changeSource();
    return ended;
  }

  /** Ends a playback where it is. */
  hush(id: number | undefined): PlaybackEnd | undefined {
    const playback = this.#playback;
    return playback === undefined || playback.id !== id ? undefined : this.#endPlayback(playback, false);
  }

  /** Ends whatever is playing. */
  silence(): PlaybackEnd | undefined {
    return this.hush(this.#playback?.id);
  }

  #endPlayback(playback: Playback, complete: boolean): PlaybackEnd {
    this.#playback = undefined;
    this.#changeSource();
    return playback.end(complete);
  }

  #changeSource(): void {
    const { words } = this.#bench;
    words[this.#first + sideWords.source] = -1;
    changeSource(words, this.#first + sideWords.stream);
    this.#publish();
  }

  /** Sends the frames that are due; tells when the playback is over: played to its end, or the far end cannot hear it. */
  advance(now: number): PlaybackEnd | undefined {
    const playback = this.#playback;
    if (playback === undefined || playback.dueAt > now) return undefined;
    if (!playback.catchUp(now)) return this.#endPlayback(playback, false);
    while (playback.dueAt <= now) {
      if (playback.over) return this.#endPlayback(playback, true);
      const sent = this.#playFrame(playback, now);
      if (!sent && !playback.repeat) return this.#endPlayback(playback, false);
      playback.sent += 1;
    }
    return undefined;
  }

  #playFrame(playback: Playback, now: number): boolean {
    const terms = this.#terms;
    if (terms === undefined || !terms.listening) return false;
    const packet = this.#ownPacket;
    const { words } = this.#bench;
    const stream = this.#first + sideWords.stream;
    packet[0] = 0x80;
    const length = playback.writeFrame(terms.codec, packet, rtpHeaderBytes);
    if (length === 0) return false;
    placeOwn(words, stream, (terms.clockRate / 1_000) * frameMs, now);
    writeHeader(
      packet,
      terms.audioType,
      playback.sent === 0,
      words[stream + streamWords.sequence]!,
      words[stream + streamWords.timestamp]!,
      words[stream + streamWords.ssrc]!,
    );
    return this.send(packet, rtpHeaderBytes + length, length);
  }
}

/** Whether keys can only come as tones: no telephone-event was agreed to, and the codec leaves tones whole. */
function sendsTones(terms: SideTerms | undefined): boolean {
  return (
    terms !== undefined &&
    terms.eventType === undefined &&
    terms.receivedEventType === undefined &&
    isG711(terms.codec)
  );
}
