/** Targets that failed a moment ago: tried last for a while, never given up (RFC 3263 section 4.3). */
import type { Clock } from '../clock.ts';
import type { Address } from '../transport.ts';

const maxEntries = 1_000;
const longestMs = 300_000;

export class Blocklist {
  readonly #clock: Clock;
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param forMs at most five minutes count, however long a peer's Retry-After is */
  add(target: Address, forMs: number): void {
    const key = keyOf(target);
    this.#until.delete(key);
    this.#until.set(key, this.#clock.now() + Math.min(forMs, longestMs));
    const oldest = this.#until.keys().next();
    if (this.#until.size > maxEntries && oldest.done !== true) this.#until.delete(oldest.value);
  }

  /** It has answered. */
  remove(target: Address): void {
    if (this.#until.size > 0) this.#until.delete(keyOf(target));
  }

  has(target: Address): boolean {
    const until = this.#until.get(keyOf(target));
    if (until === undefined) return false;
    if (this.#clock.now() < until) return true;
    this.#until.delete(keyOf(target));
    return false;
  }

  /** The same targets, those on the list behind the others. */
  lastOf(targets: readonly Address[]): Address[] {
    if (this.#until.size === 0 || targets.length < 2) return [...targets];
    const blocked = targets.map((target) => this.has(target));
    return [...targets.filter((_, at) => !blocked[at]), ...targets.filter((_, at) => blocked[at])];
  }
}

function keyOf({ transport, address, port }: Address): string {
  return `${transport}|${address}|${port}`;
}
