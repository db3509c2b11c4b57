/** How many calls a peer may have with us: what is over its limits is refused before anything is spent on it. */
import type { Peer } from './peers.ts';

/** Why a call is not taken now. */
export type Overload = 'max-calls' | 'max-rate';

interface Load {
  calls: number;
  /** New calls that may come at once; grows with time up to one second's worth. */
  tokens: number;
  /** Milliseconds of the monotonic clock at which `tokens` was right. */
  at: number;
}

/** A call's place; letting go of it twice is letting go once. */
export class Place implements Disposable {
  readonly #load: Load;
  #held = true;

  constructor(load: Load) {
    this.#load = load;
    load.calls += 1;
  }

  [Symbol.dispose](): void {
    if (this.#held) this.#load.calls -= 1;
    this.#held = false;
  }
}

export class Admission {
  readonly #loads = new Map<Peer, Load>();
  readonly #now: () => number;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** A place for a call that a peer sends us, or why there is none. */
  admit(peer: Peer): Place | Overload {
    const load = this.#load(peer);
    if (this.#full(peer, load)) return 'max-calls';
    if (peer.maxCallsPerSecond !== undefined) {
      const burst = Math.max(1, peer.maxCallsPerSecond);
      const now = this.#now();
      load.tokens = Math.min(burst, load.tokens + ((now - load.at) / 1_000) * peer.maxCallsPerSecond);
      load.at = now;
      if (load.tokens < 1) return 'max-rate';
      load.tokens -= 1;
    }
    return new Place(load);
  }

  /** A place for a call that we send to a peer; undefined when it has as many as it may. */
  enter(peer: Peer): Place | undefined {
    const load = this.#load(peer);
    return this.#full(peer, load) ? undefined : new Place(load);
  }

  /** A place whatever the limits say: for a call that must never be refused. */
  insist(peer: Peer): Place {
    return new Place(this.#load(peer));
  }

  calls(peer: Peer): number {
    return this.#loads.get(peer)?.calls ?? 0;
  }

  #full({ maxCalls }: Peer, { calls }: Load): boolean {
    return maxCalls !== undefined && calls >= maxCalls;
  }

  #load(peer: Peer): Load {
    let load = this.#loads.get(peer);
    if (load === undefined) {
      load = { calls: 0, tokens: Math.max(1, peer.maxCallsPerSecond ?? 1), at: this.#now() };
      this.#loads.set(peer, load);
    }
    return load;
  }
}
