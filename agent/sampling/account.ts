/**
 * A campaign's account of one month, pure: what each event makes of it. `scripts.ts` does the same in Redis; a test runs
 * both on the same events.
 */
import { announceReserve, isSelected, partsPerMillion, type Standing, type Terms } from './gate.ts';
import type { SettledOutcome } from './sampler.ts';

export interface Account extends Standing {
  /** Draws so far: the number of the last one. */
  draws: number;
  /** Eligible conversations settled. */
  eligible: number;
  /** Of these, recorded. */
  recorded: number;
  /** Selected and not yet settled. */
  open: number;
  /** Rate in force. */
  ppm: number;
  /** Day that `today` counts. */
  day: string;
}

/** What a call's draw was taken under, and what its settlement must therefore move. */
export interface DrawnUnder {
  ppm: number;
  capPpm: number;
  day: string;
}

/**
 * What is known of a call. `open`: selected, its place taken. `passed`: not selected, or its place given back.
 * `lapsed`: open beyond its lease, so counted as recorded. `settled`: counted for good.
 */
export type CallState = 'open' | 'passed' | 'lapsed' | 'settled';

export const emptyAccount: Account = {
  draws: 0,
  eligible: 0,
  recorded: 0,
  open: 0,
  credit: 0,
  announceCredit: 0,
  today: 0,
  ppm: 0,
  day: '',
};

/**
 * The account as a draw finds it. A changed rate begins anew (I-24): credit that was not used under the old one is
 * dropped, so that a higher rate works on no earlier conversation and a lower one at once; what was overdrawn stays.
 */
export function underTerms(account: Account, ppm: number, day: string): Account {
  const changed = account.ppm !== ppm;
  return {
    ...account,
    ppm,
    // Never back: agents whose clocks differ would else count a day twice around midnight.
    day: day > account.day ? day : account.day,
    credit: changed ? Math.min(account.credit, 0) : account.credit,
    announceCredit: changed ? Math.min(account.announceCredit, 0) : account.announceCredit,
    today: day > account.day ? 0 : account.today,
  };
}

/** Draws one call. `before` is what the decision rests on. */
export function drawOne(
  account: Account,
  terms: Terms,
  day: string,
  uniform: number,
): { selected: boolean; before: Account; after: Account } {
  const counted = underTerms(account, terms.ppm, day);
  const before = { ...counted, draws: counted.draws + 1 };
  const selected = isSelected(before, terms, uniform);
  return { selected, before, after: selected ? opened(before, { ...terms, day }) : before };
}

/** A selected call earns its rate and takes its place. */
export function opened(account: Account, under: DrawnUnder): Account {
  return {
    ...account,
    open: account.open + 1,
    credit: account.credit + under.ppm - partsPerMillion,
    announceCredit: account.announceCredit + under.capPpm - partsPerMillion,
    today: account.today + (account.day === under.day ? 1 : 0),
  };
}

/** The place of a selection that came to nothing, given back. */
export function released(account: Account, under: DrawnUnder): Account {
  return raised(
    { ...account, open: account.open - 1, today: givenBackToday(account, under) },
    under,
    partsPerMillion - under.ppm,
    partsPerMillion - under.capPpm,
  );
}

/** A selection beyond its lease: a recorded conversation, until its settlement says otherwise. */
export function lapsed(account: Account): Account {
  return {
    ...account,
    open: account.open - 1,
    eligible: account.eligible + 1,
    recorded: account.recorded + 1,
  };
}

/** @param state the call's, before; undefined: its draw was never counted */
export function settled(
  account: Account,
  state: Exclude<CallState, 'settled'> | undefined,
  under: DrawnUnder,
  outcome: SettledOutcome,
): Account {
  const eligible = outcome === 'no-conversation' ? 0 : 1;
  const recorded = outcome === 'recorded' ? 1 : 0;
  if (state === 'open' || state === 'lapsed') {
    const taken = state === 'lapsed' ? 1 : 0;
    const next = {
      ...account,
      open: account.open - (1 - taken),
      eligible: account.eligible + eligible - taken,
      recorded: account.recorded + recorded - taken,
      today: eligible === 0 ? givenBackToday(account, under) : account.today,
    };
    if (recorded === 1) return next;
    return eligible === 1
      ? raised(next, under, partsPerMillion, 0)
      : raised(next, under, partsPerMillion - under.ppm, partsPerMillion - under.capPpm);
  }
  const next = {
    ...account,
    eligible: account.eligible + eligible,
    recorded: account.recorded + recorded,
    // A recording whose draw was lost still takes its place.
    credit: account.credit - recorded * partsPerMillion,
    announceCredit: account.announceCredit - recorded * partsPerMillion,
  };
  return eligible === 1 ? raised(next, under, under.ppm, under.capPpm) : next;
}

/** What comes from a call that was drawn under another rate than is in force only makes up for what is overdrawn. */
function raised(account: Account, under: DrawnUnder, credit: number, announceCredit: number): Account {
  const whole = { credit: account.credit + credit, announceCredit: account.announceCredit + announceCredit };
  if (account.ppm !== under.ppm) {
    whole.credit = Math.min(whole.credit, Math.max(account.credit, 0));
    whole.announceCredit = Math.min(whole.announceCredit, Math.max(account.announceCredit, 0));
  }
  return {
    ...account,
    credit: whole.credit,
    announceCredit: Math.min(whole.announceCredit, announceReserve),
  };
}

function givenBackToday({ day, today }: Account, under: DrawnUnder): number {
  return day === under.day ? Math.max(0, today - 1) : today;
}
