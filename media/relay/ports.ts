/** RTP ports: even, with RTCP on the odd one above (RFC 3550 section 11), and none used again while a late packet of its last call may come. */

const restMs = 10_000;

export class PortRange {
  readonly #free: number[] = [];
  readonly #resting: { port: number; until: number }[] = [];
  readonly #now: () => number;

  /** @param now monotonic milliseconds */
  constructor({ min, max }: { min: number; max: number }, now: () => number = () => performance.now()) {
    for (let port = min + (min % 2); port + 1 <= max; port += 2) this.#free.push(port);
    this.#now = now;
  }

  /** The port of a pair that is free, or undefined when all are taken or at rest. */
  take(): number | undefined {
    const now = this.#now();
    while (this.#resting[0] !== undefined && this.#resting[0].until <= now)
      this.#free.push(this.#resting.shift()!.port);
    return this.#free.shift();
  }

  give(port: number): void {
    this.#resting.push({ port, until: this.#now() + restMs });
  }

  /** A port that turned out to be another program's: it goes to the end of the line. */
  put(port: number): void {
    this.#free.push(port);
  }
}
