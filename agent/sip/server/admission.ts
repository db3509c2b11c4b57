/** Who is heard: known sources, at a bounded rate, and never a scanner. */
import type { Clock } from './clock.ts';
import { headerOf } from './message.ts';
import type { SipRequest } from './message.ts';
import type { Address } from './transport.ts';

export interface RateLimits {
  /** New calls that one source may begin in a second, on average; twice as many at once. */
  invitesPerSecond: number;
  /** Other requests outside dialogs: OPTIONS, REGISTER, MESSAGE, ... */
  othersPerSecond: number;
}

/** What programs that look for open SIP servers call themselves. */
const scanners = [
  'friendly-scanner',
  'friendly-request',
  'sipvicious',
  'sundayddr',
  'sipcli',
  'sip-scan',
  'vaxsipuseragent',
  'pplsip',
  'sivus',
  'smap',
  'iwar',
  'gulp',
];

/** Sources that are kept count of; all are known peers, but a CIDR block may hold many. */
const maxSources = 4_096;

export type Verdict = 'take' | 'scanner' | 'over the rate';

export class Admission {
  readonly #clock: Clock;
  readonly #rates: Readonly<Record<'invite' | 'other', number>>;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(clock: Clock, limits: Partial<RateLimits>) {
    this.#clock = clock;
    this.#rates = { invite: limits.invitesPerSecond ?? Infinity, other: limits.othersPerSecond ?? Infinity };
  }

  /** Of a request outside any dialog that was not seen before; what belongs to a call that is up is never asked about. */
  judge(request: SipRequest, source: Address): Verdict {
    const agent = (headerOf(request, 'user-agent') ?? '').toLowerCase();
    if (agent !== '' && scanners.some((name) => agent.includes(name))) return 'scanner';
    const kind = request.method === 'INVITE' ? 'invite' : 'other';
    return this.#take(`${kind}|${source.address}`, this.#rates[kind]) ? 'take' : 'over the rate';
  }

  /** A token bucket that holds two seconds' worth. */
  #take(key: string, perSecond: number): boolean {
    if (perSecond === Infinity) return true;
    const now = this.#clock.now();
    const full = 2 * perSecond;
    const bucket = this.#buckets.get(key) ?? { tokens: full, at: now };
    // A clock that was set back gives nothing and takes nothing.
    const elapsedMs = Math.max(0, now - bucket.at);
    const tokens = Math.min(full, bucket.tokens + (elapsedMs / 1_000) * perSecond);
    const taken = tokens >= 1;
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: taken ? tokens - 1 : tokens, at: now });
    const oldest = this.#buckets.keys().next();
    if (this.#buckets.size > maxSources && oldest.done !== true) this.#buckets.delete(oldest.value);
    return taken;
  }
}
