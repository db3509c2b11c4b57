/** A prompt or tone on its way to a side, frame by frame at its instants. */
import { isPlayed, type CodecName, type PlayedCodec } from '../codec/formats.ts';
import type { Encoded, Frames } from '../prompts/encoded.ts';
import { frameMs, type SideTerms } from './messages.ts';

/** A playback that was kept from running for longer than this goes on from now, and does not hurry after. */
const stallMs = 200;
/** With a hole of this length in it, a prompt is not what was to be told (I1). */
const brokenMs = 1_000;

/** How a playback ended. */
export interface PlaybackEnd {
  id: number;
  frames: number;
  complete: boolean;
}

interface View {
  bytes: Uint8Array;
  starts: Uint32Array;
}

function viewOf({ bytes, starts }: Frames): View {
  return { bytes: new Uint8Array(bytes), starts: new Uint32Array(starts) };
}

/** Whether who heard us under the old terms goes on hearing the same stream at the same place under the new ones. */
export function hearsOn(before: SideTerms | undefined, terms: SideTerms | undefined): boolean {
  return (
    terms?.listening === true &&
    terms.address === before?.address &&
    terms.port === before.port &&
    terms.codec === before.codec &&
    terms.audioType === before.audioType
  );
}

export class Playback {
  readonly id: number;
  readonly repeat: boolean;
  readonly #audio: Record<PlayedCodec, View>;
  readonly #frames: number;
  #startedAt: number;
  /** Frames sent so far. */
  sent = 0;

  constructor(id: number, audio: Encoded, repeat: boolean, now: number) {
    this.id = id;
    this.repeat = repeat;
    const { PCMA, PCMU, G722, OPUS } = audio;
    this.#audio = { PCMA: viewOf(PCMA), PCMU: viewOf(PCMU), G722: viewOf(G722), OPUS: viewOf(OPUS) };
    this.#frames = this.#audio.PCMA.starts.length - 1;
    this.#startedAt = now;
  }

  /** Instant of the next frame. */
  get dueAt(): number {
    return this.#startedAt + this.sent * frameMs;
  }

  /** Whether its last frame has been heard to its end. */
  get over(): boolean {
    return this.sent === this.#frames && !this.repeat;
  }

  /** False when it was kept from running for so long that what was heard of it is of no use: it must begin anew. */
  catchUp(now: number): boolean {
    const behind = now - this.dueAt;
    if (behind > stallMs) this.#startedAt += behind;
    return behind <= brokenMs || this.sent === 0 || this.repeat;
  }

  /** Puts the next frame into a packet's payload; its length, 0 when it cannot be played in this codec. */
  writeFrame(codec: CodecName, packet: Uint8Array, offset: number): number {
    if (!isPlayed(codec)) return 0;
    const { bytes, starts } = this.#audio[codec];
    const at = this.sent % this.#frames;
    packet.set(bytes.subarray(starts[at], starts[at + 1]), offset);
    return starts[at + 1]! - starts[at]!;
  }

  end(complete: boolean): PlaybackEnd {
    return { id: this.id, frames: this.sent, complete };
  }
}
