/**
 * What a call may ask of the media plane (design section 7). The embedded relay and rtpengine both are this;
 * the call logic knows nothing else of media. SDP goes in and out as text: only the plane reads it.
 */
import type { MessagePort } from 'node:worker_threads';
import type { CallId, EpochMicros, Side } from '../config/units.ts';
import { TacetError } from '../config/errors.ts';
import type { CodecName } from './codec/formats.ts';
import type { Prompt } from './prompts/prompt.ts';
import type { Tone } from './prompts/tones.ts';
import type { SrtpPolicy } from './srtp/agreement.ts';

/** No session can be had (ports exhausted, worker dead). The call goes on without us in the media (I4). */
export class MediaUnavailable extends TacetError {
  readonly call: CallId;
  constructor(call: CallId, why: string) {
    super(`no media session for call ${call}: ${why}; the call goes on unrecorded`);
    this.call = call;
  }
}

/** The SDP cannot be anchored: no audio stream, or no codec of ours. Selected calls then pass through unrecorded (I4). */
export class SdpRefused extends TacetError {
  readonly reason: 'malformed' | 'no-audio' | 'no-codec' | 'no-address' | 'transport' | 'mismatch';
  constructor(reason: SdpRefused['reason'], detail: string) {
    super(`SDP cannot be anchored (${reason}): ${detail}`);
    this.reason = reason;
  }
}

export interface MediaPlane extends AsyncDisposable {
  /** Reserves a session with ports for both sides. @throws MediaUnavailable */
  open(call: CallId): Promise<MediaSession>;
  /** Sessions open and totals since start, for metrics. */
  statistics(): PlaneStatistics;
}

export interface PlaneStatistics {
  sessions: number;
  packetsReceived: number;
  packetsSent: number;
  /** Dropped on arrival, by reason: a source that is not the peer, not RTP, a codec not agreed, a tag that is false. */
  packetsDropped: Record<DropReason, number>;
}

export type DropReason = 'wrong-source' | 'malformed' | 'unknown-payload' | 'unauthentic';

export interface MediaSession extends AsyncDisposable {
  readonly caller: MediaSide;
  readonly agent: MediaSide;
  /** Aborted with the reason when the session is lost (its worker died): the call must go on, the recording fails. */
  readonly lost: AbortSignal;
  /** Lets RTP flow between the sides. Before, each side hears only what is played to it. */
  connect(): Promise<void>;
  /** Cuts the sides apart again, each side's stream (port, SSRC, sequence) unharmed. */
  disconnect(): Promise<void>;
  /**
   * Copies every RTP packet that arrives from either side from now on to `write`, in arrival order per side, as
   * batches in the format of `media/fork/batch.ts`. Nothing that arrived before is copied (I1: no pre-roll).
   */
  fork(write: (batch: Uint8Array) => void): Promise<MediaFork>;
  statistics(): Promise<SessionStatistics>;
  /** The negotiated state of both sides as it is now; `restore` puts it back when a re-offer failed. */
  snapshot(): Promise<MediaSnapshot>;
}

export interface MediaSnapshot {
  restore(): Promise<void>;
}

/** Direction as seen by the far end of the side: `recvonly` means that it listens only (RFC 3264 section 5.1). */
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** Whether a conversation is being recorded, as its parties are told (RFC 7866 section 6.2). */
export type RecordingIndication = 'on' | 'off' | 'paused';

export interface MediaSide {
  readonly side: Side;
  /** What our descriptions for this side's far end say of it, from the next one on; undefined: nothing. */
  indication: RecordingIndication | undefined;
  /**
   * Takes the far end's offer and gives our answer: our address and port, one codec of the offer, telephone-event if
   * offered, a key if keys are (RFC 3264, RFC 4733, RFC 4568). The same port and SSRC for the life of the session.
   *
   * @param direction what the other side of the call agreed to; by default the mirror of the offer's
   * @param srtp what the site wants of this peer, from now on; before it was ever said: `accept`
   * @throws SdpRefused
   */
  answer(offer: string, direction?: Direction, srtp?: SrtpPolicy): Promise<string>;
  /**
   * Our offer to this side's far end: the codecs that the other side offered, in its order, telephone-event always.
   *
   * @param srtp given when another peer is asked than before: what the site wants of it; it starts with fresh keys
   * @param to `anyone` where another telephone may answer than before: it is offered a key that was used for none
   */
  offer(direction?: Direction, srtp?: SrtpPolicy, to?: 'same' | 'anyone'): Promise<string>;
  /** The far end's answer to our last offer on this side. @throws SdpRefused */
  accept(answer: string): Promise<void>;
  /** Direction of the last description that the far end gave. A hold is `sendonly`, `inactive` or address 0.0.0.0. */
  readonly remoteDirection: Direction;
  /** The codec agreed on; undefined before. */
  readonly codec: CodecName | undefined;
  /** Both sides have agreed on codecs that do not pass to each other: this one must be offered what passes. */
  readonly stuck: boolean;
  /** RTP payload types that the far end sends us, e.g. `{ "8": "PCMA/8000", "101": "telephone-event/8000" }`. */
  readonly codecs: Record<string, string>;
  /** Plays a prompt to this side, paced at 20 ms. Resolves when its last packet was sent, or when aborted. */
  play(prompt: Prompt, signal: AbortSignal): Promise<Played>;
  /** Plays a tone of the tone plan (ringing, busy) until aborted. */
  playTone(tone: Tone, signal: AbortSignal): Promise<void>;
  /**
   * Calls back for every key this side's far end presses (RFC 4733), once a key, at its first packet, from the first
   * packet of the session on: keys pressed before the listener was added are handed over at once.
   */
  onDigit(listener: (digit: PressedDigit) => void): Disposable;
  /**
   * Sends what this side's far end says to a port, packet by packet as `SaidAudio`, until it is let go; the port is closed
   * then. Nothing of it passes through the main thread of the embedded plane.
   */
  listen(port: MessagePort): Disposable;
}

/** Audio as it came off the wire, in its codec. */
export interface SaidAudio {
  codec: CodecName;
  payload: Uint8Array;
  at: EpochMicros;
}

export type Digit =
  '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9' | '*' | '#' | 'A' | 'B' | 'C' | 'D';

export interface PressedDigit {
  digit: Digit;
  at: EpochMicros;
}

/** What a side was sent of a prompt, as the media plane counted it. `complete` is what I1 asks for. */
export interface Played {
  heardMs: number;
  durationMs: number;
  complete: boolean;
}

export type GapKind = 'hold' | 'paused' | 'lost' | 'no-rtp' | 'masked';

export interface MediaFork {
  /** Arrival time from which packets are copied. */
  readonly startedAt: EpochMicros;
  /** Stops copying; resolves with the instant after which nothing was copied. The media plane's word (I8). */
  pause(): Promise<EpochMicros>;
  resume(): Promise<EpochMicros>;
  /** Flushes what was copied and stops; `write` is not called after it resolves. */
  stop(): Promise<ForkTotals>;
}

export interface ForkTotals {
  stoppedAt: EpochMicros;
  packets: Record<Side, number>;
  bytes: Record<Side, number>;
}

export interface SessionStatistics {
  caller: SideStatistics;
  agent: SideStatistics;
}

export interface SideStatistics {
  packetsReceived: number;
  packetsSent: number;
  packetsLost: number;
  wrongSource: number;
  jitterMs: number;
  /** Arrival of the last packet of this side's far end; undefined when none came. */
  lastPacketAt: EpochMicros | undefined;
}
