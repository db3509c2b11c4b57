/**
 * The counts of all campaigns as one value in memory, and what each step does to them. Every step is idempotent by call
 * id. The Redis sampler's scripts do the same, step by step, and the same contract is tested on both.
 */
import { isSelected } from './gate.ts';
import type { SampleCounts, SettledOutcome } from './sampler.ts';

/**
 * What is known of a call. `open`: selected, its place taken. `passed`: not selected, or its place given back.
 * `lapsed`: open beyond its lease, so counted as recorded. `settled`: counted for good.
 */
export type CallState = 'open' | 'passed' | 'lapsed' | 'settled';

export interface KnownCall {
  campaign: string;
  epoch: string;
  state: CallState;
  /** When it came to this state, milliseconds since the Unix epoch. */
  since: number;
}

/** What makes a decision: everything that the journal must hold to repeat it. */
export type Step =
  | { step: 'open'; call: string; campaign: string; epoch: string; at: number }
  | { step: 'release'; call: string; campaign: string; epoch: string; at: number }
  | {
      step: 'settle';
      call: string;
      campaign: string;
      epoch: string;
      outcome: SettledOutcome;
      at: number;
    };

interface Period {
  counts: SampleCounts;
  /** Open calls, oldest first. */
  open: Map<string, number>;
}

export class Tally {
  readonly #leaseMs: number;
  readonly #periods = new Map<string, Period>();
  readonly #calls = new Map<string, KnownCall>();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  counts(campaign: string, epoch: string): SampleCounts {
    return { ...this.#period(campaign, epoch).counts };
  }

  stateOf(call: string): CallState | undefined {
    return this.#calls.get(call)?.state;
  }

  /** Draws for a call that is not known yet; a known one keeps its answer. `basis`: the counts that decided. */
  draw(
    draw: { campaign: string; epoch: string; call: string; at: number },
    ppm: number,
  ): { selected: boolean; basis: SampleCounts } {
    const { campaign, epoch, call, at } = draw;
    this.#lapse(campaign, epoch, at);
    const basis = this.counts(campaign, epoch);
    const known = this.#calls.get(call);
    if (known !== undefined) return { selected: known.state === 'open', basis };
    const selected = isSelected(basis, ppm);
    if (selected) this.apply({ step: 'open', ...draw });
    else this.#calls.set(call, { campaign, epoch, state: 'passed', since: at });
    return { selected, basis };
  }

  apply(step: Step): void {
    const { call, campaign, epoch, at } = step;
    this.#lapse(campaign, epoch, at);
    const { counts, open } = this.#period(campaign, epoch);
    const state = this.#calls.get(call)?.state;
    const become = (next: CallState): unknown =>
      this.#calls.set(call, { campaign, epoch, state: next, since: at });
    switch (step.step) {
      case 'open':
        if (state !== undefined) return;
        open.set(call, at);
        counts.open += 1;
        become('open');
        return;
      case 'release':
        if (state !== undefined && state !== 'open') return;
        if (open.delete(call)) counts.open -= 1;
        become('passed');
        return;
      case 'settle':
        if (state === 'settled') return;
        if (open.delete(call)) counts.open -= 1;
        if (state === 'lapsed') {
          counts.eligible -= 1;
          counts.recorded -= 1;
        }
        if (step.outcome !== 'no-conversation') counts.eligible += 1;
        if (step.outcome === 'recorded') counts.recorded += 1;
        become('settled');
    }
  }

  /** Forgets calls that came to their end before this time, and periods that nothing refers to from before this month. */
  forget(before: number, epoch: string): void {
    for (const [call, { state, since }] of this.#calls) {
      if (state !== 'open' && since < before) this.#calls.delete(call);
    }
    for (const [key, period] of this.#periods) {
      if (period.open.size === 0 && (key.split(' ')[1] ?? '') < epoch) this.#periods.delete(key);
    }
  }

  snapshot(): Snapshot {
    return {
      periods: [...this.#periods].map(([key, { counts }]) => [key, counts]),
      calls: [...this.#calls],
    };
  }

  restore({ periods, calls }: Snapshot): void {
    for (const [key, counts] of periods) this.#periods.set(key, { counts: { ...counts }, open: new Map() });
    for (const [call, known] of calls) {
      this.#calls.set(call, known);
      if (known.state === 'open') this.#period(known.campaign, known.epoch).open.set(call, known.since);
    }
  }

  #period(campaign: string, epoch: string): Period {
    const key = `${campaign} ${epoch}`;
    let period = this.#periods.get(key);
    if (period === undefined) {
      period = { counts: { eligible: 0, recorded: 0, open: 0 }, open: new Map() };
      this.#periods.set(key, period);
    }
    return period;
  }

  #lapse(campaign: string, epoch: string, now: number): void {
    const { counts, open } = this.#period(campaign, epoch);
    for (const [call, since] of open) {
      if (since + this.#leaseMs > now) return;
      open.delete(call);
      counts.open -= 1;
      counts.eligible += 1;
      counts.recorded += 1;
      this.#calls.set(call, { campaign, epoch, state: 'lapsed', since: now });
    }
  }
}

export interface Snapshot {
  periods: [key: string, counts: SampleCounts][];
  calls: [call: string, known: KnownCall][];
}
