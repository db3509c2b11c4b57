/**
 * The sampler whose accounts are shared in Redis: one script call for a reservation, one for a settlement.
 *
 * A call never waits for Redis beyond the budget: no answer means not selected. A reservation that timed out may still be
 * applied later, by a Redis that hung; it is then owed back, and given back as soon as Redis can be reached. What is owed
 * (settlements too) is tried until it is counted; every script is idempotent by call id, in whatever order they arrive.
 *
 * Why the ceiling holds over a failover that loses writes: only a selection lowers a credit, so only a lost selection could
 * break it. A server that did not grant before grants nothing for `fenceMs` (it tells by its replication id, in the script
 * itself, so no agent need notice); in that time every agent, whose connection broke too, tells it the account as it last
 * saw it and its own selections. With `replicas`, a selection is besides granted only when as many replicas have it.
 */
import { setTimeout as after } from 'node:timers/promises';
import { messageOf } from '../../config/errors.ts';
import type { CallId } from '../../config/units.ts';
import { dayBefore, dayOf, leaseMs as defaultLeaseMs } from './gate.ts';
import { Grants, type Grant } from './grants.ts';
import { connect, type Connection, type RedisPlace } from './redis-connection.ts';
import { readAccount, termsWord } from './scripts.ts';
import { ask, drawn, termsOf, undrawn, type Asked } from './reservation.ts';
import type {
  AvailabilityListener,
  Reservation,
  SampleCounts,
  SampledCampaign,
  Sampler,
  SettledOutcome,
  UngrantedListener,
  UniformSource,
} from './sampler.ts';

export interface RedisSamplerOptions extends RedisPlace {
  uniform: UniformSource;
  /** Budget of one reservation. */
  timeoutMs: number;
  /** Replicas that must have a selection before it is granted; 0: none need. */
  replicas?: number;
  /** Agents' clocks may differ by seconds: it dates leases of hours and names day and month. */
  clock?: () => Date;
  leaseMs?: number;
  /** How long a server that did not grant before grants nothing. */
  fenceMs?: number;
  /** Silence after a command beyond which the connection is given up and made anew. */
  hungMs?: number;
  /** How long closing may take to deliver what is still owed. */
  closeMs?: number;
  /** A connection made before, where it is shared (the bench pings on it). */
  connection?: Connection;
  onAvailability?: AvailabilityListener;
  onUngranted?: UngrantedListener;
}

/** Connects in the background; until then reservations answer `unavailable`. */
export function openRedisSampler(options: RedisSamplerOptions): Sampler {
  return new RedisSampler(options);
}

/** Back-off of a lost connection is a second at most: three give every agent time to come back and tell. */
const defaultFenceMs = 3_000;
/** A server that has lost writes is told at most this often. */
const recoverPauseMs = 250;
const selectedByte = 0x31;
/** Selections told in one script call: Redis serves nobody else meanwhile. */
const recoverBatch = 200;

class RedisSampler implements Sampler {
  readonly #redis: Connection;
  readonly #uniform: UniformSource;
  readonly #timeoutMs: number;
  readonly #replicas: number;
  readonly #closeMs: number;
  readonly #leaseMs: number;
  readonly #clock: () => Date;
  readonly #onAvailability: AvailabilityListener | undefined;
  readonly #onUngranted: UngrantedListener | undefined;
  readonly #grants = new Grants();
  /** What Redis must still be told, and what to call when it was counted. */
  readonly #owed = new Map<() => Promise<void>, () => void>();
  #payTimer: NodeJS.Timeout | undefined;
  #recovering: Promise<void> | undefined;
  #recoveredAt = -Infinity;
  /** Replication id of the server that this connection leads to; empty in a cluster, which has many. */
  #server = '';
  #writing = false;
  /** Answers that are waited for. */
  #awaited = 0;
  #available = false;
  #lastError = 'not connected yet';

  constructor(options: RedisSamplerOptions) {
    this.#uniform = options.uniform;
    this.#timeoutMs = options.timeoutMs;
    this.#replicas = options.replicas ?? 0;
    this.#closeMs = options.closeMs ?? 2_000;
    this.#leaseMs = options.leaseMs ?? defaultLeaseMs;
    this.#clock = options.clock ?? (() => new Date());
    this.#onAvailability = options.onAvailability;
    this.#onUngranted = options.onUngranted;
    const { hungMs = 2_000, fenceMs = defaultFenceMs } = options;
    this.#redis = options.connection ?? connect(options, { hungMs, fenceMs });
    this.#redis.on('ready', () => void this.#arrive());
    this.#redis.on('error', (error: Error) => {
      this.#lastError = messageOf(error);
    });
    this.#redis.on('close', () => this.#tell(false, this.#lastError));
  }

  get available(): boolean {
    return this.#available;
  }

  async reserve(campaign: SampledCampaign, call: CallId): Promise<Reservation> {
    const now = this.#clock();
    const terms = termsOf(campaign);
    const asked = ask(campaign, terms, call, now);
    if (campaign.gate === 'closed') return undrawn(asked, 'closed');
    const from = this.#uniform(call, dayOf(now));
    if (from === undefined || !this.#available) {
      this.#onUngranted?.(from === undefined ? 'no-key' : 'unreachable');
      return undrawn(asked, 'unavailable');
    }
    this.#writeTogether();
    const word = termsWord(terms, { day: asked.day, server: this.#server });
    const answering = this.#redis.tacetReserveBuffer(
      callsKey(asked),
      call,
      from.uniform,
      word,
      `${this.#grants.lastDraw(asked)} ${now.getTime()}`,
    );
    const answer = await this.#inTime(answering);
    if (answer === undefined) return this.#ungranted(asked, 'late');
    if (answer.length === 1) {
      void this.#recover();
      this.#onUngranted?.(answer.toString('latin1') === 'l' ? 'lost' : 'fenced');
      return undrawn(asked, 'unavailable');
    }
    const { run, ...account } = readAccount(answer);
    const selected = answer[0] === selectedByte;
    const reservation = drawn(asked, selected, account, {
      ...from,
      run,
      dailyGuard: terms.dailyGuard,
    });
    const granted = !reservation.selected || (await this.#isReplicated());
    const answered: Reservation = granted
      ? reservation
      : { ...this.#ungranted(asked, 'unreplicated'), draw: reservation.draw };
    this.#grants.saw(answered, account, now.getTime());
    return answered;
  }

  async settle(reservation: Reservation, outcome: SettledOutcome): Promise<void> {
    if (reservation.reason === 'closed') return;
    this.#grants.ended(reservation, outcome);
    await this.#owe(() => this.#settle(reservation, outcome));
  }

  async counts(campaign: string, timeZone?: string): Promise<SampleCounts | undefined> {
    if (!this.#available) return undefined;
    const now = this.#clock();
    const today = dayOf(now, timeZone);
    const yesterday = dayBefore(today);
    const before = now.getTime() - this.#leaseMs;
    const keyOfYesterday = callsKey({ campaign, day: yesterday });
    // The last selections of a month lapse when the next one has begun.
    if (yesterday.slice(0, 7) !== today.slice(0, 7)) {
      await this.#inTime(this.#redis.tacetLapse(keyOfYesterday, keyOfYesterday, before));
    }
    const counts = await this.#inTime(
      this.#redis.tacetLapse(callsKey({ campaign, day: today }), keyOfYesterday, before),
    );
    if (counts === undefined) return undefined;
    const [eligible, recorded, open] = counts;
    return { eligible, recorded, open };
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

  /** A reservation that may have been made all the same: given back as soon as Redis can be told. */
  #ungranted(asked: Asked, why: 'late' | 'unreplicated'): Reservation {
    this.#onUngranted?.(why);
    const { call, ppm, capPpm } = asked;
    void this.#owe(() => this.#redis.tacetRelease(callsKey(asked), call, ppm, capPpm));
    return undrawn(asked, 'unavailable');
  }

  /**
   * What is asked in one turn of the event loop goes out in one write: a system call costs both ends more than the draw does.
   * While nothing is under way there is no company to wait for. A cluster's connections are its own affair.
   */
  #writeTogether(): void {
    if (this.#awaited === 0 || this.#writing || 'nodes' in this.#redis || this.#redis.status !== 'ready')
      return;
    const { stream } = this.#redis;
    this.#writing = true;
    stream.cork();
    process.nextTick(() => {
      this.#writing = false;
      stream.uncork();
    });
  }

  #settle(reservation: Reservation, outcome: SettledOutcome): Promise<unknown> {
    const { call, ppm, capPpm } = reservation;
    this.#writeTogether();
    return this.#redis.tacetSettle(callsKey(reservation), call, outcome, ppm, capPpm);
  }

  /** Whether as many replicas as asked for have what this connection wrote. */
  async #isReplicated(): Promise<boolean> {
    if (this.#replicas === 0) return true;
    // Half the budget: it holds up whatever else this connection asks.
    const waitMs = Math.max(1, Math.floor(this.#timeoutMs / 2));
    const asked = 'wait' in this.#redis ? this.#redis.wait(this.#replicas, waitMs) : undefined;
    return asked === undefined ? true : ((await this.#inTime(asked)) ?? 0) >= this.#replicas;
  }

  /** Undefined when there was no answer within the budget, or a failure for one. */
  #inTime<Answer>(asked: Promise<Answer>): Promise<Answer | undefined> {
    this.#awaited += 1;
    return new Promise((resolve) => {
      const fail = (why: string): void => {
        this.#tell(false, why);
        void this.#probe();
        resolve(undefined);
      };
      const timer = setTimeout(() => fail(`no answer within ${this.#timeoutMs} ms`), this.#timeoutMs);
      asked.then(
        (answer) => {
          this.#awaited -= 1;
          clearTimeout(timer);
          resolve(answer);
        },
        (error: unknown) => {
          this.#awaited -= 1;
          clearTimeout(timer);
          fail(messageOf(error));
        },
      );
    });
  }

  /** Answers come in order: when this one is there, Redis is no longer behind. A new connection tells of itself. */
  async #probe(): Promise<void> {
    try {
      await this.#redis.ping();
    } catch {
      return;
    }
    await this.#arrive();
  }

  /** Redis can be reached: it hears what this agent knows before it is asked for anything. */
  async #arrive(): Promise<void> {
    this.#recoveredAt = -Infinity;
    await this.#meet();
    await this.#recover();
    if (this.#redis.status !== 'ready') return;
    this.#tell(true, undefined);
    await this.#payOwed();
  }

  /** A failure here shows at the next command. */
  async #meet(): Promise<void> {
    if ('nodes' in this.#redis) return;
    const said = await this.#redis.info('replication').catch(() => '');
    this.#server = /master_replid:([\da-f]+)/u.exec(said)?.[1] ?? '';
  }

  async #recover(): Promise<void> {
    if (performance.now() < this.#recoveredAt + recoverPauseMs) return;
    this.#recovering ??= this.#tellAll()
      // What could not be told is told when the connection is back, or at the next refusal.
      .catch(() => undefined)
      .finally(() => {
        this.#recoveredAt = performance.now();
        this.#recovering = undefined;
      });
    await this.#recovering;
  }

  async #tellAll(): Promise<void> {
    for (const { campaign, epoch, account, days } of this.#grants.all()) {
      const { draws, eligible, recorded, credit, announceCredit, ppm, today } = account;
      const seen = [draws, eligible, recorded, credit, announceCredit, ppm, account.day, today];
      for (const [day, grants] of days.size === 0 ? [[account.day, []] as const] : days) {
        const key = callsKey({ campaign, day });
        for (let from = 0; from === 0 || from < grants.length; from += recoverBatch) {
          const told = grants.slice(from, from + recoverBatch).flatMap(wordsOf);
          const [stands] = await this.#redis.tacetRecover(key, ...seen, ...told);
          this.#grants.reset({ campaign, epoch }, stands);
        }
        const over = grants.filter(({ outcome }) => outcome !== undefined);
        await Promise.all(over.map(({ reservation, outcome }) => this.#settle(reservation, outcome!)));
      }
    }
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

function callsKey({ campaign, day }: { campaign: string; day: string }): string {
  return `tacet:{${campaign}}:${day}`;
}

function wordsOf({ reservation, sequence, at, outcome }: Grant): (string | number)[] {
  const { call, ppm, capPpm } = reservation;
  return [call, sequence, ppm, capPpm, at, outcome === undefined ? 'o' : 's'];
}
