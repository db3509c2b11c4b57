/** What both samplers make of a question and its answer. */
import type { CallId } from '../../config/units.ts';
import type { Account } from './account.ts';
import { dayOf, epochOf, inPartsPerMillion, partsPerMillion, type Terms } from './gate.ts';
import type { Reservation, SampledCampaign } from './sampler.ts';
import type { Rate } from '../../config/units.ts';

/** Before anybody is asked: not selected, and why is still open. */
export type Asked = Pick<Reservation, 'campaign' | 'call' | 'epoch' | 'day' | 'ppm' | 'capPpm'>;

const defaultAnnouncedCap = 1.5;

export function termsOf({ rate, announcedCap = defaultAnnouncedCap, dailyGuard }: SampledCampaign): Terms {
  const ppm = inPartsPerMillion(rate);
  // Below the rate itself the cap would be a lower rate in disguise.
  const capPpm = inPartsPerMillion(Math.min(1, rate * Math.max(1, announcedCap)) as Rate);
  return { ppm, capPpm: Math.min(partsPerMillion, Math.max(ppm, capPpm)), dailyGuard };
}

export function ask({ name, timeZone }: SampledCampaign, terms: Terms, call: CallId, now: Date): Asked {
  const { ppm, capPpm } = terms;
  return { campaign: name, call, epoch: epochOf(now, timeZone), day: dayOf(now, timeZone), ppm, capPpm };
}

export function undrawn(asked: Asked, reason: 'unavailable' | 'closed'): Reservation {
  return { ...asked, selected: false, reason, basis: undefined, draw: undefined };
}

/** @param before the account that the decision rests on */
export function drawn(
  asked: Asked,
  selected: boolean,
  before: Pick<Account, 'draws' | 'eligible' | 'recorded' | 'open' | 'credit' | 'announceCredit' | 'today'>,
  {
    key,
    uniform,
    run,
    dailyGuard,
  }: {
    key: string;
    uniform: number;
    run: string;
    dailyGuard: number | undefined;
  },
): Reservation {
  const { eligible, recorded, open, credit, announceCredit, today, draws } = before;
  const { ppm, capPpm } = asked;
  return {
    ...asked,
    selected,
    reason: 'quota',
    basis: { eligible, recorded, open },
    draw: { key, uniform, run, sequence: draws, ppm, capPpm, dailyGuard, credit, announceCredit, today },
  };
}
