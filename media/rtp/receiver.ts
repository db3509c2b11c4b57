/** What a receiver knows of a stream (RFC 3550 appendix A.3, A.8); no allocation for a packet. */
const ticksPerMs = 8;
/** A jump of the sequence number beyond this is a new beginning, not a loss (appendix A.1: MAX_DROPOUT). */
const largestDropout = 3_000;

export class ReceiverStatistics {
  packets = 0;
  /** Interarrival jitter, timestamp ticks. */
  jitter = 0;
  #ssrc = -1;
  #base = 0;
  #highest = 0;
  #cycles = 0;
  #receivedSinceBase = 0;
  #lostBefore = 0;
  #transit = Number.NaN;

  /** Expected less received, over all sources so far. Never negative: duplicates do not undo losses. */
  get lost(): number {
    if (this.#ssrc === -1) return 0;
    const expected = this.#cycles + this.#highest - this.#base + 1;
    return this.#lostBefore + Math.max(0, expected - this.#receivedSinceBase);
  }

  receive(sequence: number, timestamp: number, ssrc: number, nowMs: number): void {
    this.packets += 1;
    const ahead = (sequence - this.#highest) & 0xffff;
    const jumped = ahead >= largestDropout && ahead <= 0xffff - largestDropout;
    if (ssrc !== this.#ssrc || jumped) {
      this.#lostBefore = this.lost;
      this.#ssrc = ssrc;
      this.#base = sequence;
      this.#highest = sequence;
      this.#cycles = 0;
      this.#receivedSinceBase = 0;
      this.#transit = Number.NaN;
    } else if (ahead < largestDropout) {
      if (sequence < this.#highest) this.#cycles += 0x1_0000;
      this.#highest = sequence;
    }
    this.#receivedSinceBase += 1;

    const transit = nowMs * ticksPerMs - timestamp;
    if (!Number.isNaN(this.#transit)) {
      const difference = Math.abs(transit - this.#transit);
      // A timestamp that wraps or jumps is not jitter.
      if (difference < 8_000) this.jitter += (difference - this.jitter) / 16;
    }
    this.#transit = transit;
  }
}
