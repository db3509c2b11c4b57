/**
 * The one RTP stream that a far end hears from us, whatever its source is at the moment: prompt, ringing, the other
 * party, another phone of the other party. One SSRC, sequence numbers that only the source's own losses leave holes
 * in, timestamps that follow real time over a change of source (RFC 3550 section 5.1).
 */
import { randomInt } from 'node:crypto';

const ticksPerMs = 8;

export class OutgoingStream {
  readonly ssrc = randomInt(1, 2 ** 32);
  sequence = randomInt(0, 2 ** 16);
  timestamp = randomInt(0, 2 ** 32);
  /** What is added to the current source's numbers. */
  #sequenceOffset = 0;
  #timestampOffset = 0;
  /** Highest that went out, and when. */
  #lastSequence = this.sequence;
  #lastTimestamp = this.timestamp;
  #lastAt = Number.NaN;
  #anchored = false;

  /** Offset between the source's timestamps and ours, for its sender reports. */
  get timestampOffset(): number {
    return this.#timestampOffset;
  }

  /** The next packet is of another source: its numbers will be joined to what went before. */
  startSource(_nowMs: number): void {
    this.#anchored = false;
  }

  /** A packet of the source: its place in our stream is left in `sequence` and `timestamp`. */
  next(sourceSequence: number, sourceTimestamp: number, nowMs: number): void {
    if (!this.#anchored) {
      this.#anchored = true;
      this.#sequenceOffset = this.#lastSequence + 1 - sourceSequence;
      this.#timestampOffset = (this.#lastTimestamp + this.#elapsedTicks(nowMs) - sourceTimestamp) >>> 0;
    }
    this.sequence = (sourceSequence + this.#sequenceOffset) & 0xffff;
    this.timestamp = (sourceTimestamp + this.#timestampOffset) >>> 0;
    // A packet that comes late keeps its own place and does not move the end of the stream.
    if (((this.sequence - this.#lastSequence) & 0xffff) < 0x8000) this.#lastSequence = this.sequence;
    if ((this.timestamp - this.#lastTimestamp) >>> 0 < 2 ** 31) {
      this.#lastTimestamp = this.timestamp;
      this.#lastAt = nowMs;
    }
  }

  /** A packet of our own (prompt, tone) that holds `ticks` of audio. */
  nextOwn(ticks: number, nowMs: number): void {
    const step = this.#anchored ? ticks : this.#elapsedTicks(nowMs);
    this.#anchored = true;
    this.sequence = (this.#lastSequence + 1) & 0xffff;
    this.timestamp = (this.#lastTimestamp + step) >>> 0;
    this.#lastSequence = this.sequence;
    this.#lastTimestamp = this.timestamp;
    this.#lastAt = nowMs;
  }

  /** Real time since the last packet in ticks, at least one: time goes on while nobody sends. */
  #elapsedTicks(nowMs: number): number {
    if (Number.isNaN(this.#lastAt)) return 0;
    return Math.max(1, Math.round((nowMs - this.#lastAt) * ticksPerMs)) >>> 0;
  }
}
