/**
 * The accounts of all campaigns as one value in memory, and what each step does to them. Every step is idempotent by call
 * id. The Redis sampler's scripts do the same, step by step, and the same contract is tested on both.
 */
import {
  drawOne,
  emptyAccount,
  lapsed,
  opened,
  released,
  settled,
  underTerms,
  type Account,
  type CallState,
  type DrawnUnder,
} from './account.ts';
import type { Terms } from './gate.ts';
import type { SampleCounts, SettledOutcome } from './sampler.ts';

export interface KnownCall {
  campaign: string;
  epoch: string;
  state: CallState;
  /** When it came to this state, milliseconds since the Unix epoch. */
  since: number;
}

interface Place extends DrawnUnder {
  call: string;
  campaign: string;
  epoch: string;
  at: number;
}

/** What makes a decision: everything that the journal must hold to repeat it. */
export type Step =
  | ({ step: 'open' } & Place)
  | ({ step: 'release' } & Place)
  | ({ step: 'settle'; outcome: SettledOutcome } & Place);

interface Period {
  account: Account;
  /** Open calls, oldest first. */
  open: Map<string, number>;
}

export class Tally {
  readonly #leaseMs: number;
  readonly #periods = new Map<string, Period>();
  /** All but the settled ones. */
  readonly #calls = new Map<string, KnownCall>();
  /** In the order in which they settled. */
  readonly #settled = new Map<string, KnownCall>();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  counts(campaign: string, epoch: string, now: number): SampleCounts {
    this.#lapse(campaign, epoch, now);
    const { eligible, recorded, open } = this.#period(campaign, epoch).account;
    return { eligible, recorded, open };
  }

  stateOf(call: string): CallState | undefined {
    return this.#known(call)?.state;
  }

  /** Draws for a call that is not known yet; a known one keeps its answer. `before`: the account that decided. */
  draw(place: Place, terms: Terms, uniform: number): { selected: boolean; before: Account } {
    const { campaign, epoch, call, at, day } = place;
    const period = this.#period(campaign, epoch);
    const known = this.#known(call);
    if (known !== undefined) return { selected: known.state === 'open', before: period.account };
    const { selected, before, after } = drawOne(period.account, terms, day, uniform);
    period.account = after;
    if (selected) period.open.set(call, at);
    this.#calls.set(call, { campaign, epoch, state: selected ? 'open' : 'passed', since: at });
    return { selected, before };
  }

  apply(step: Step): void {
    const { call, campaign, epoch, at, ppm, day } = step;
    const period = this.#period(campaign, epoch);
    const state = this.stateOf(call);
    const become = (next: CallState, account: Account): void => {
      period.account = account;
      if (next === 'open') period.open.set(call, at);
      else period.open.delete(call);
      this.#remember(call, { campaign, epoch, state: next, since: at });
    };
    switch (step.step) {
      case 'open':
        if (state === undefined) become('open', opened(underTerms(period.account, ppm, day), step));
        return;
      case 'release':
        if (state !== undefined && state !== 'open') return;
        become('passed', state === 'open' ? released(period.account, step) : period.account);
        return;
      case 'settle':
        if (state !== 'settled') become('settled', settled(period.account, state, step, step.outcome));
    }
  }

  /**
   * Forgets calls that settled before `settled`, others that came to their end before `ended`, and periods from before the month
   * `epoch` that nothing refers to. All times in milliseconds since the Unix epoch.
   *
   * @param unwritten calls that are not forgotten: a settlement that is written after a snapshot must find its call settled in it
   */
  forget(before: { settled: number; ended: number; epoch: string }, unwritten: ReadonlySet<string>): void {
    for (const [call, { since }] of this.#settled) {
      if (since >= before.settled) break;
      if (!unwritten.has(call)) this.#settled.delete(call);
    }
    for (const [call, { state, since }] of this.#calls) {
      if (state !== 'open' && since < before.ended) this.#calls.delete(call);
    }
    for (const [key, period] of this.#periods) {
      if (period.open.size === 0 && (key.split(' ')[1] ?? '') < before.epoch) this.#periods.delete(key);
    }
  }

  /** What must outlive this process. A call that was not selected counts nothing before it settles: it is left out. */
  snapshot(): Snapshot {
    return {
      periods: [...this.#periods].map(([key, { account }]) => [key, account]),
      calls: [...this.#settled, ...[...this.#calls].filter(([, { state }]) => state !== 'passed')],
    };
  }

  restore({ periods, calls }: Snapshot): void {
    for (const [key, account] of periods)
      this.#periods.set(key, { account: { ...account }, open: new Map() });
    for (const [call, known] of calls) {
      this.#remember(call, known);
      if (known.state === 'open') this.#period(known.campaign, known.epoch).open.set(call, known.since);
    }
  }

  #known(call: string): KnownCall | undefined {
    return this.#calls.get(call) ?? this.#settled.get(call);
  }

  #remember(call: string, known: KnownCall): void {
    if (known.state === 'settled') this.#calls.delete(call);
    (known.state === 'settled' ? this.#settled : this.#calls).set(call, known);
  }

  #period(campaign: string, epoch: string): Period {
    const key = `${campaign} ${epoch}`;
    let period = this.#periods.get(key);
    if (period === undefined) {
      period = { account: emptyAccount, open: new Map() };
      this.#periods.set(key, period);
    }
    return period;
  }

  /** Moves nothing that a draw looks at: done when somebody wants to see the counts. */
  #lapse(campaign: string, epoch: string, now: number): void {
    const period = this.#period(campaign, epoch);
    for (const [call, since] of period.open) {
      if (since + this.#leaseMs > now) return;
      period.open.delete(call);
      period.account = lapsed(period.account);
      this.#calls.set(call, { campaign, epoch, state: 'lapsed', since: now });
    }
  }
}

export interface Snapshot {
  periods: [key: string, account: Account][];
  calls: [call: string, known: KnownCall][];
}
