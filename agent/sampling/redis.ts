/**
 * The sampler whose counts are shared in Redis: one script call for a reservation, one for a settlement.
 *
 * A call never waits for Redis beyond the budget: no answer means not selected. A reservation that timed out may still be
 * applied later, by a Redis that hung; it is then owed back, and given back as soon as Redis can be reached. What is owed
 * (settlements too) is tried until it is counted; every script is idempotent by call id, in whatever order they arrive.
 *
 * Redis must keep what it acknowledged (`appendonly yes`): counts that are lost begin the month anew. A selection that was
 * lost so still counts when it settles.
 */
import { setTimeout as after } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { messageOf } from '../../config/errors.ts';
import type { CallId, Rate } from '../../config/units.ts';
import { epochOf, inPartsPerMillion, leaseMs as defaultLeaseMs } from './gate.ts';
import { releaseScript, reserveScript, settleScript } from './scripts.ts';
import type { AvailabilityListener, Reservation, SampleCounts, Sampler, SettledOutcome } from './sampler.ts';

export interface RedisSamplerOptions {
  /** `redis://` or `rediss://` */
  url: string;
  /** Budget of one reservation. */
  timeoutMs: number;
  /** Agents' clocks may differ by seconds: it dates leases of hours and names the month. */
  clock?: () => Date;
  leaseMs?: number;
  /** Silence after a command beyond which the connection is given up and made anew. */
  hungMs?: number;
  /** How long closing may take to deliver what is still owed. */
  closeMs?: number;
  onAvailability?: AvailabilityListener;
}

/** Connects in the background; until then reservations answer `unavailable`. */
export function openRedisSampler(options: RedisSamplerOptions): Sampler {
  return new RedisSampler(options);
}

/** How long a call is remembered, so that a doubled or late message changes nothing. */
const callSeconds = 3 * 86_400;
/** A month, and time for its last calls to settle and for an auditor to look. */
const epochSeconds = 70 * 86_400;

interface Scripts {
  tacetReserve(
    ...words: (string | number)[]
  ): Promise<[selected: number, eligible: number, recorded: number, open: number]>;
  tacetSettle(...words: (string | number)[]): Promise<unknown>;
  tacetRelease(...words: (string | number)[]): Promise<unknown>;
}

class RedisSampler implements Sampler {
  readonly #redis: Redis & Scripts;
  readonly #timeoutMs: number;
  readonly #closeMs: number;
  readonly #leaseMs: number;
  readonly #clock: () => Date;
  readonly #onAvailability: AvailabilityListener | undefined;
  /** What Redis must still be told, and what to call when it was counted. */
  readonly #owed = new Map<() => Promise<void>, () => void>();
  #payTimer: NodeJS.Timeout | undefined;
  #available = false;
  #lastError = 'not connected yet';

  constructor(options: RedisSamplerOptions) {
    this.#timeoutMs = options.timeoutMs;
    this.#closeMs = options.closeMs ?? 2_000;
    this.#leaseMs = options.leaseMs ?? defaultLeaseMs;
    this.#clock = options.clock ?? (() => new Date());
    this.#onAvailability = options.onAvailability;
    this.#redis = connect(options.url, options.hungMs ?? 2_000);
    this.#redis.on('ready', () => {
      this.#tell(true, undefined);
      void this.#payOwed();
    });
    this.#redis.on('error', (error) => {
      this.#lastError = messageOf(error);
    });
    this.#redis.on('close', () => this.#tell(false, this.#lastError));
  }

  get available(): boolean {
    return this.#available;
  }

  async reserve({ name, rate }: { name: string; rate: Rate }, call: CallId): Promise<Reservation> {
    const now = this.#clock();
    const reservation = { campaign: name, call, epoch: epochOf(now) };
    const unavailable: Reservation = {
      ...reservation,
      selected: false,
      reason: 'unavailable',
      basis: undefined,
    };
    if (!this.#available) return unavailable;
    const asked = this.#redis.tacetReserve(
      ...keysOf(reservation),
      inPartsPerMillion(rate),
      call,
      now.getTime(),
      this.#leaseMs,
      callSeconds,
      epochSeconds,
    );
    const answer = await this.#inTime(asked);
    if (answer === undefined) {
      void this.#owe(() => this.#redis.tacetRelease(...keysOf(reservation), call, callSeconds));
      return unavailable;
    }
    const [selected, eligible, recorded, open] = answer;
    return { ...reservation, selected: selected === 1, reason: 'quota', basis: { eligible, recorded, open } };
  }

  async settle(reservation: Reservation, outcome: SettledOutcome): Promise<void> {
    const words = [reservation.call, outcome, callSeconds, epochSeconds];
    await this.#owe(() => this.#redis.tacetSettle(...keysOf(reservation), ...words));
  }

  async counts(campaign: string): Promise<SampleCounts | undefined> {
    if (!this.#available) return undefined;
    const [counts, open] = keysOf({ campaign, epoch: epochOf(this.#clock()), call: '' });
    const [values, waiting] =
      (await this.#inTime(
        Promise.all([this.#redis.hmget(counts, 'eligible', 'recorded'), this.#redis.zcard(open)]),
      )) ?? [];
    if (values === undefined || waiting === undefined) return undefined;
    return { eligible: Number(values[0] ?? 0), recorded: Number(values[1] ?? 0), open: waiting };
  }

  /** Delivers what is owed within its budget. What remains open then lapses, on the safe side. */
  async [Symbol.asyncDispose](): Promise<void> {
    const timer = new AbortController();
    const late = after(this.#closeMs, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([this.#payOwed(), late]);
    timer.abort();
    clearTimeout(this.#payTimer);
    // Nobody waits for ever for a Redis that is not there.
    for (const letGo of this.#owed.values()) letGo();
    this.#owed.clear();
    this.#redis.disconnect();
  }

  /** Undefined when there was no answer within the budget, or a failure for one. */
  async #inTime<Answer>(asked: Promise<Answer>): Promise<Answer | undefined> {
    const timer = new AbortController();
    const silence = { failed: `no answer within ${this.#timeoutMs} ms` };
    const late = after(this.#timeoutMs, silence, { signal: timer.signal }).catch(() => silence);
    const told = asked.then(
      (answer) => ({ answer }),
      (error: unknown) => ({ failed: messageOf(error) }),
    );
    const outcome = await Promise.race([told, late]);
    timer.abort();
    if ('answer' in outcome) return outcome.answer;
    this.#tell(false, outcome.failed);
    void this.#probe();
    return undefined;
  }

  /** Answers come in order: when this one is there, Redis is no longer behind. A new connection tells of itself. */
  async #probe(): Promise<void> {
    try {
      await this.#redis.ping();
    } catch {
      return;
    }
    this.#tell(true, undefined);
    await this.#payOwed();
  }

  /** Resolves when Redis has counted it. */
  async #owe(tell: () => Promise<unknown>): Promise<void> {
    const counted = Promise.withResolvers<undefined>();
    const pay = async (): Promise<void> => {
      await tell();
      this.#owed.delete(pay);
      counted.resolve(undefined);
    };
    this.#owed.set(pay, () => counted.resolve(undefined));
    if (this.#redis.status === 'ready') pay().catch(() => this.#payLater());
    await counted.promise;
  }

  /** In small groups, so that reservations find their way between. */
  async #payOwed(): Promise<void> {
    const owed = [...this.#owed.keys()];
    while (owed.length > 0 && this.#redis.status === 'ready') {
      await Promise.allSettled(owed.splice(0, 50).map((pay) => pay()));
    }
    if (this.#owed.size > 0) this.#payLater();
  }

  /** Where Redis answers, but with an error. A lost connection pays when it is back. */
  #payLater(): void {
    this.#payTimer ??= setTimeout(() => {
      this.#payTimer = undefined;
      if (this.#redis.status === 'ready') void this.#payOwed();
    }, 1_000).unref();
  }

  #tell(available: boolean, why: string | undefined): void {
    if (available === this.#available) return;
    this.#available = available;
    this.#onAvailability?.(available, why);
  }
}

/** Counts, open selections and the call: one hash slot for a campaign, so that a cluster can run the scripts. */
function keysOf({
  campaign,
  epoch,
  call,
}: {
  campaign: string;
  epoch: string;
  call: string;
}): [string, string, string] {
  const place = `tacet:{${campaign}}`;
  return [`${place}:${epoch}`, `${place}:${epoch}:open`, `${place}:call:${call}`];
}

function connect(url: string, hungMs: number): Redis & Scripts {
  const script = (lua: string): { lua: string; numberOfKeys: number } => ({ lua, numberOfKeys: 3 });
  return new Redis(url, {
    enableOfflineQueue: false,
    // A command of a lost connection is never sent again by itself: only what is owed is, and that is idempotent.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 1_000,
    socketTimeout: hungMs,
    disconnectTimeout: 100,
    // Random, so that agents do not come back all at once.
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 5), 1_000) * (0.5 + Math.random() / 2),
    // A demoted master answers READONLY: connect again, to where the name or the sentinel now leads.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    scripts: {
      tacetReserve: script(reserveScript),
      tacetSettle: script(settleScript),
      tacetRelease: script(releaseScript),
    },
  }) as Redis & Scripts;
}
