/**
 * When a worker looks at its sockets. A wake-up costs more than a packet: with many streams the worker sleeps to the next
 * beat of the clock and then takes all that has come; with few a packet does not wait for company.
 */

/** Packets a millisecond from which on it pays to wait: forty streams. */
const worthWaiting = 2;
/** A packet waits for one millisecond then, in the mean: a tenth to a quarter cheaper than to look twice as often. */
const beatMs = 2;
/** Frames of prompts leave at instants of their own, to the millisecond. */
const playingBeatMs = 1;
/** The rate is measured over this long. */
const windowMs = 16;

export class DrainRhythm {
  readonly #sleeper = new Int32Array(new SharedArrayBuffer(4));
  #ticking = false;
  #windowEnds = 0;
  #packets = 0;

  /** Sleeps to the next beat when that pays. @returns whether it did; if not, wait for the first packet */
  rest(playing: boolean): boolean {
    const beat = playing ? playingBeatMs : beatMs;
    if (this.#ticking) Atomics.wait(this.#sleeper, 0, 0, beat - (performance.now() % beat));
    return this.#ticking;
  }

  /** So many packets were taken at `now`. */
  took(packets: number, now: number): void {
    this.#packets += packets;
    if (now < this.#windowEnds) return;
    const elapsed = now - this.#windowEnds + windowMs;
    this.#ticking = this.#packets >= worthWaiting * elapsed;
    this.#packets = 0;
    this.#windowEnds = now + windowMs;
  }
}
