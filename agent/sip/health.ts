/**
 * Which peers can take calls: asked with OPTIONS, and learned from the calls themselves. A peer is marked down after so
 * many failures in a row and up again by one good answer, or when the time that it asked for has passed.
 */
import type { Alarm, Clock } from './server/clock.ts';
import type { Peer } from './peers.ts';

/** What one OPTIONS or INVITE said of a peer. */
export type Verdict =
  /** It answered, whatever it thinks of the request. */
  | { kind: 'alive' }
  /** Silence, a refused port, or a proxy whose back end is dead. */
  | { kind: 'failed'; why: string }
  /** 503 with Retry-After: it asks to be spared for a while (RFC 3261 section 21.5.4). */
  | { kind: 'asked-off'; forMs: number };

export interface HealthOptions {
  peers: readonly Peer[];
  clock: Clock;
  /** Sends one OPTIONS. Must settle, with its signal at the latest. */
  probe: (peer: Peer, signal: AbortSignal) => Promise<Verdict>;
  onChange: (peer: Peer, up: boolean, why: string) => void;
}

interface State {
  failures: number;
  down: boolean;
  /** Asked off by an INVITE until then, whatever OPTIONS say; milliseconds of the clock. */
  sparedUntil: number;
  /** Where nobody asks with OPTIONS: when a peer that is down may be tried again. */
  retryAt: number;
}

/** Without OPTIONS, a peer that failed is tried again after this time. */
const retryMs = 30_000;
/** A peer that is down is asked more often: it should be back as soon as it is back. */
const intervalWhenDownMs = 5_000;
/** No peer is believed that asks off for longer. */
const longestMs = 3_600_000;

export class Health implements Disposable {
  readonly #options: HealthOptions;
  readonly #states = new Map<Peer, State>();
  readonly #closing = new AbortController();
  readonly #alarms = new Map<Peer, Alarm>();

  constructor(options: HealthOptions) {
    this.#options = options;
    for (const peer of options.peers) {
      this.#states.set(peer, { failures: 0, down: false, sparedUntil: 0, retryAt: 0 });
    }
  }

  /** Asks every peer that is to be asked, now and from now on. */
  start(): void {
    for (const peer of this.#options.peers) if (peer.health.intervalSeconds > 0) void this.#ask(peer);
  }

  isUp(peer: Peer): boolean {
    const state = this.#states.get(peer);
    if (state === undefined) return true;
    const now = this.#options.clock.now();
    if (state.sparedUntil > now) return false;
    return !state.down || (peer.health.intervalSeconds === 0 && now >= state.retryAt);
  }

  /** Takes what an INVITE said of its peer. */
  tell(peer: Peer, verdict: Verdict): void {
    this.#take(peer, verdict, 'call');
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    for (const alarm of this.#alarms.values()) alarm.cancel();
    this.#alarms.clear();
  }

  async #ask(peer: Peer): Promise<void> {
    const { intervalSeconds, timeoutMs } = peer.health;
    const over = new AbortController();
    const { clock, probe } = this.#options;
    const alarm = clock.after(timeoutMs, () => over.abort());
    const verdict = await probe(peer, AbortSignal.any([over.signal, this.#closing.signal]));
    alarm.cancel();
    if (this.#closing.signal.aborted) return;
    this.#take(peer, verdict, 'options');
    const pauseMs = intervalSeconds * 1_000;
    const nextMs = this.isUp(peer) ? pauseMs : Math.min(pauseMs, intervalWhenDownMs);
    this.#alarms.set(
      peer,
      clock.after(nextMs, () => void this.#ask(peer)),
    );
  }

  #take(peer: Peer, verdict: Verdict, from: 'call' | 'options'): void {
    const state = this.#states.get(peer);
    if (state === undefined) return;
    const now = this.#options.clock.now();
    switch (verdict.kind) {
      case 'alive':
        state.failures = 0;
        // An overloaded peer answers OPTIONS all the same: what it asked of calls holds for calls.
        if (from === 'options' && state.sparedUntil > now) return;
        state.sparedUntil = 0;
        return this.#mark(peer, state, false, from === 'call' ? 'it answered a call' : 'it answers');
      case 'asked-off': {
        const forMs = Math.min(verdict.forMs, longestMs);
        if (from === 'call') state.sparedUntil = Math.max(state.sparedUntil, now + forMs);
        state.retryAt = now + forMs;
        return this.#mark(peer, state, true, `it asked to be spared for ${Math.round(forMs / 1_000)} s`);
      }
      case 'failed':
        state.failures += 1;
        if (state.failures < peer.health.failures) return;
        state.retryAt = now + retryMs;
        return this.#mark(peer, state, true, verdict.why);
    }
  }

  #mark(peer: Peer, state: State, down: boolean, why: string): void {
    if (state.down === down) return;
    state.down = down;
    this.#options.onChange(peer, !down, why);
  }
}

/**
 * What a final status says of the peer that sent it. A refusal of the request is an answer; 5xx tells of a fault, but a
 * peer that says so speaks.
 *
 * @param retryAfter the Retry-After header, if any
 */
export function verdictOf(
  status: number,
  retryAfter: string | undefined,
  method: 'INVITE' | 'OPTIONS',
): Verdict | undefined {
  const seconds = Number(/^ *(\d{1,7})/u.exec(retryAfter ?? '')?.[1] ?? Number.NaN);
  if (status === 503 && !Number.isNaN(seconds)) return { kind: 'asked-off', forMs: seconds * 1_000 };
  const fault = status === 408 || (status >= 500 && status < 600 && status !== 501 && status !== 505);
  if (!fault) return { kind: 'alive' };
  // One call's 5xx may be that call's own; the answer to OPTIONS is about the peer.
  return method === 'OPTIONS' ? { kind: 'failed', why: `it answers OPTIONS with ${status}` } : undefined;
}
