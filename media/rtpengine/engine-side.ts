/** One side of a call at rtpengine: SDP in and out, prompts counted by the server, keys out of the copies. */
import type { MessagePort } from 'node:worker_threads';
import type { EpochMicros, Side } from '../../config/units.ts';
import { codecOfRtpmap, formats, isG711, isPlayed, type CodecName } from '../codec/formats.ts';
import { HeardKeys } from '../dtmf/heard-keys.ts';
import { InBandReceiver } from '../dtmf/in-band.ts';
import { TelephoneEventReceiver } from '../dtmf/telephone-event.ts';
import type {
  Digit,
  Direction,
  MediaSide,
  Played,
  PressedDigit,
  RecordingIndication,
  SaidAudio,
} from '../plane.ts';
import type { Encoded } from '../prompts/encoded.ts';
import type { Prompt } from '../prompts/prompt.ts';
import { renderTone, type Tone } from '../prompts/tones.ts';
import { frameMs } from '../relay/messages.ts';
import { Negotiation, type Place } from '../relay/negotiation.ts';
import { hearsOn } from '../relay/playback.ts';
import { newRtpHeader, readRtp, type RtpHeader } from '../rtp/packet.ts';
import { lostPackets, receivePacket, receiverWords, startReceiver } from '../rtp/receiver.ts';
import type { SrtpPolicy } from '../srtp/agreement.ts';
import type { EngineCounts, FarEnd } from './engine-call.ts';
import type { Line } from './line.ts';
import type { SrtpGateway } from './srtp-gateway.ts';

export interface EngineSideHome {
  /** Nothing is played any more from then on. */
  readonly lost: AbortSignal;
  /** Tells the server what this side's far end agreed to. */
  agreed(side: EngineSide): Promise<void>;
  /** Opens a gateway to SRTP before a port of the call. @throws MediaUnavailable */
  gateway(inner: Place): Promise<SrtpGateway>;
  /** Runs while this side is told something and is therefore in dialogue with our line. */
  whileApart<Result>(side: EngineSide, run: () => Promise<Result>): Promise<Result>;
  /** Counts frames that left for a far end. */
  sent(frames: number): void;
  /** What the server has counted; undefined when it does not say. */
  counts(): Promise<Record<Side, EngineCounts> | undefined>;
}

/** A frame that was sent is counted by the server within milliseconds, if it arrives. */
const countAttempts = 10;
const countEveryMs = 20;

export class EngineSide implements MediaSide, Disposable {
  readonly side: Side;
  readonly line: Line;
  readonly #home: EngineSideHome;
  readonly #negotiation: Negotiation;
  /** Where the call has its port for this side. */
  readonly #anchor: Place;
  /** Through which the far end speaks SRTP, or was offered to. */
  #gateway: SrtpGateway | undefined;
  #farEnd: FarEnd | undefined;
  readonly #keys = new HeardKeys();
  readonly #events = new TelephoneEventReceiver();
  readonly #tones = new InBandReceiver();
  #listener: MessagePort | undefined;
  readonly #header = newRtpHeader();
  readonly #words = new Float64Array(receiverWords.size);
  /** Tells what is being played that the far end agreed to something else. */
  #interrupt: () => void = () => undefined;
  /** Frames that we sent. */
  played = 0;
  lastPacketAt: EpochMicros | undefined;

  /** @param anchor where the far end is to send */
  constructor(side: Side, line: Line, anchor: Place, home: EngineSideHome) {
    this.side = side;
    this.line = line;
    this.#home = home;
    this.#anchor = anchor;
    this.#negotiation = new Negotiation(anchor, (suite) => this.#gateway!.keyOf(suite));
    startReceiver(this.#words, 0);
  }

  set other(other: EngineSide) {
    this.#negotiation.other = other.#negotiation;
  }

  get indication(): RecordingIndication | undefined {
    return this.#negotiation.indication;
  }

  set indication(indication: RecordingIndication | undefined) {
    this.#negotiation.indication = indication;
  }

  get remoteDirection(): Direction {
    return this.#negotiation.agreement.remote?.direction ?? 'sendrecv';
  }

  get codecs(): Record<string, string> {
    return this.#negotiation.agreement.received;
  }

  get codec(): CodecName | undefined {
    return this.#negotiation.codec;
  }

  get stuck(): boolean {
    return this.#negotiation.stuck;
  }

  /** What the server must know of the far end; undefined before anything was agreed. */
  get farEnd(): FarEnd | undefined {
    return this.#farEnd;
  }

  /** Takes what was agreed last for the far end; one behind a gateway is where the gateway has it. @throws TacetError */
  async findFarEnd(): Promise<void> {
    const { codec, terms, srtp } = this.#negotiation.agreement;
    if (codec === undefined || terms === undefined) {
      this.#farEnd = undefined;
      return;
    }
    const { address, port, eventType, eventClockRate } = terms;
    const event = eventType === undefined ? undefined : { payloadType: eventType, clockRate: eventClockRate };
    const far: FarEnd = { address, port, codec, event, direction: 'sendrecv' };
    this.#farEnd = this.#gateway === undefined ? far : { ...far, ...(await this.#gateway.agree(far, srtp)) };
  }

  get jitterMs(): number {
    return this.#words[receiverWords.jitter]! / this.#words[receiverWords.ticksPerMs]!;
  }

  get packetsLost(): number {
    return lostPackets(this.#words, 0);
  }

  get packetsCopied(): number {
    return this.#words[receiverWords.packets]!;
  }

  async answer(offer: string, direction?: Direction, srtp?: SrtpPolicy): Promise<string> {
    const served = asServed(offer);
    const keys = this.#negotiation.keysToAnswer(served, srtp);
    const back = this.#gateway;
    if (keys === 'new') await this.#newGateway();
    else if (keys === 'none') this.#goThrough(undefined);
    const answer = this.#answer(served, direction, srtp, back);
    await this.#tell();
    return answer;
  }

  async offer(direction: Direction = 'sendrecv', srtp?: SrtpPolicy, to?: 'same' | 'anyone'): Promise<string> {
    if (this.#negotiation.newKeysToOffer(srtp, to)) await this.#newGateway();
    else if (srtp !== undefined) this.#goThrough(undefined);
    return this.#negotiation.offer(direction, srtp, to);
  }

  async accept(answer: string): Promise<void> {
    this.#negotiation.accept(asServed(answer));
    await this.#tell();
  }

  async play(prompt: Prompt, signal: AbortSignal): Promise<Played> {
    const { frames, complete } = await this.#play(prompt.encoded, false, signal);
    return {
      heardMs: Math.min(frames * frameMs, prompt.durationMs),
      durationMs: prompt.durationMs,
      complete,
    };
  }

  async playTone(tone: Tone, signal: AbortSignal): Promise<void> {
    await this.#play(renderTone(tone), true, signal);
  }

  onDigit(listener: (digit: PressedDigit) => void): Disposable {
    return this.#keys.listen(listener);
  }

  /** A copy of what the far end sent. */
  hear(packet: Uint8Array, arrivedAt: EpochMicros): boolean {
    const header = this.#header;
    if (!readRtp(packet, packet.length, header)) return false;
    this.lastPacketAt = arrivedAt;
    const { sequence, timestamp, ssrc } = header;
    receivePacket(this.#words, 0, sequence, timestamp, ssrc, arrivedAt / 1_000);
    this.#hand(packet, header, arrivedAt);
    const digit = this.#keyIn(packet, header);
    if (digit !== undefined) this.#keys.heard({ digit, at: arrivedAt });
    return true;
  }

  listen(port: MessagePort): Disposable {
    this.#listener = port;
    return {
      [Symbol.dispose]: () => {
        if (this.#listener === port) this.#listener = undefined;
        port.close();
      },
    };
  }

  /** Hands what is said to whoever listens. */
  #hand(packet: Uint8Array, { payloadType, payloadOffset, payloadLength }: RtpHeader, at: EpochMicros): void {
    const codec = codecOfRtpmap(this.codecs[payloadType] ?? '');
    if (codec === undefined) return;
    const payload = packet.slice(payloadOffset, payloadOffset + payloadLength);
    this.#listener?.postMessage({ codec, payload, at } satisfies SaidAudio);
  }

  /** A telephone-event, or tones where the far end agreed to none. */
  #keyIn(
    packet: Uint8Array,
    { payloadType, payloadOffset, payloadLength, timestamp }: RtpHeader,
  ): Digit | undefined {
    const format = this.codecs[payloadType];
    if (format?.startsWith('telephone-event') === true)
      return this.#events.receive(packet, payloadOffset, payloadLength, timestamp);
    const codec = format === undefined ? undefined : codecOfRtpmap(format);
    if (codec === undefined || !isG711(codec) || this.#negotiation.agreement.terms?.eventType !== undefined)
      return undefined;
    return this.#tones.receive(codec, packet, payloadOffset, payloadLength, timestamp);
  }

  /** What was agreed so far, to come back to. */
  snapshot(): () => Promise<void> {
    const { agreement } = this.#negotiation;
    const gateway = this.#gateway;
    return async () => {
      this.#negotiation.agreement = agreement;
      this.#goThrough(gateway);
      await this.#tell();
    };
  }

  [Symbol.dispose](): void {
    this.#negotiation[Symbol.dispose]();
    this.line[Symbol.dispose]();
  }

  #answer(
    offer: string,
    direction: Direction | undefined,
    srtp: SrtpPolicy | undefined,
    back: SrtpGateway | undefined,
  ): string {
    try {
      return this.#negotiation.answer(offer, direction, srtp);
    } catch (error) {
      this.#goThrough(back);
      throw error;
    }
  }

  /** The far end is, or will be, behind a gateway whose keys nobody has seen. */
  async #newGateway(): Promise<void> {
    this.#goThrough(await this.#home.gateway(this.#anchor));
  }

  #goThrough(gateway: SrtpGateway | undefined): void {
    this.#gateway = gateway;
    this.#negotiation.at = gateway?.place ?? this.#anchor;
  }

  async #tell(): Promise<void> {
    this.#interrupt();
    const { codec } = this;
    if (codec !== undefined) this.#words[receiverWords.ticksPerMs] = formats[codec].clockRate / 1_000;
    await this.#home.agreed(this);
  }

  /**
   * I1: the server's count of what it took from our line is the media plane's word. What it did not count, or counted while the far end was not in
   * dialogue with the line or did not listen, was not heard.
   */
  async #play(
    audio: Encoded,
    repeat: boolean,
    over: AbortSignal,
  ): Promise<{ frames: number; complete: boolean }> {
    const signal = AbortSignal.any([over, this.#home.lost]);
    const nothing = { frames: 0, complete: false };
    const { codec, terms } = this.#negotiation.agreement;
    if (signal.aborted || codec === undefined || !isPlayed(codec.name) || terms?.listening !== true)
      return nothing;
    const { name, payloadType } = codec;
    let interrupted = false;
    this.#interrupt = () => {
      interrupted ||= !repeat && !hearsOn(terms, this.#negotiation.agreement.terms);
    };
    const open = (): boolean => {
      const now = this.#negotiation.agreement.terms;
      return !interrupted && now?.listening === true && now.codec === name && now.audioType === payloadType;
    };
    return this.#home.whileApart(this, async () => {
      const before = await this.#counted();
      if (before?.hearsLine !== true) return nothing;
      const { frames, whole } = await this.line.play(
        audio,
        repeat,
        { codec: name, payloadType, open },
        signal,
      );
      this.played += frames;
      this.#home.sent(frames);
      const after = await this.#countedAtLeast(before.played + frames);
      const counted = after === undefined ? 0 : Math.min(frames, after.played - before.played);
      return {
        frames: counted,
        complete: whole && open() && counted === frames && after?.hearsLine === true && !signal.aborted,
      };
    });
  }

  async #counted(): Promise<EngineCounts | undefined> {
    return (await this.#home.counts())?.[this.side];
  }

  async #countedAtLeast(played: number): Promise<EngineCounts | undefined> {
    let counts: EngineCounts | undefined;
    for (let attempt = 0; attempt < countAttempts; attempt++) {
      if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, countEveryMs));
      counts = await this.#counted();
      if (counts === undefined || counts.played >= played) break;
    }
    return counts;
  }
}

/**
 * What of a description the server is told: RTCP is on a port of its own, and a key goes without an identifier in each packet
 * (MKI, RFC 4568 section 6.1), which changes where a packet's tag begins.
 */
function asServed(sdp: string): string {
  return sdp
    .replaceAll(/^a=rtcp-mux(-only)?\r?\n/gmu, '')
    .replaceAll(/^a=crypto:[^\r\n]*\|\d{1,40}:\d{1,3}[^\r\n]*\r?\n/gmu, '');
}
