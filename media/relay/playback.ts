/** A prompt or tone on its way to a side, frame by frame at its instants. */
import { frameBytes, frameMs, type Audio, type G711 } from './messages.ts';

/** A playback that was kept from running for longer than this goes on from now, and does not hurry after. */
const stallMs = 200;

/** How a playback ended. */
export interface PlaybackEnd {
  id: number;
  frames: number;
  complete: boolean;
}

export class Playback {
  readonly id: number;
  readonly repeat: boolean;
  readonly #audio: Record<G711, Uint8Array>;
  readonly #frames: number;
  #startedAt: number;
  /** Frames sent so far. */
  sent = 0;

  constructor(id: number, audio: Audio, repeat: boolean, now: number) {
    this.id = id;
    this.repeat = repeat;
    this.#audio = { PCMA: new Uint8Array(audio.PCMA), PCMU: new Uint8Array(audio.PCMU) };
    this.#frames = Math.floor(this.#audio.PCMA.length / frameBytes);
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

  catchUp(now: number): void {
    const behind = now - this.dueAt;
    if (behind > stallMs) this.#startedAt += behind;
  }

  /** Puts the next frame into a packet's payload. */
  writeFrame(codec: G711, packet: Uint8Array, offset: number): void {
    const at = (this.sent % this.#frames) * frameBytes;
    packet.set(this.#audio[codec].subarray(at, at + frameBytes), offset);
  }

  end(complete: boolean): PlaybackEnd {
    return { id: this.id, frames: this.sent, complete };
  }
}
