/** What a rate would mean before it is asked for: how much is recorded, kept and paid, and what the law says to it. */
import { unquestionedRate, type Campaign } from '../../config/schema.ts';
import { constrain } from './constrain.ts';
import type { LawBook } from './load.ts';
import { retainUntil } from './retention.ts';

export interface Assumptions {
  rate: number;
  /** Eligible conversations of a day on which the campaign runs. */
  callsPerDay: number;
  /** Mean length of a conversation. */
  minutes: number;
  daysPerWeek: number;
  /** Share of those who hear the announcement that refuse, 0..1. */
  refusals: number;
  /** Of a decimal gigabyte kept for a month, in any currency. */
  pricePerGbMonth: number;
}

/** Megabytes of an hour of two channels: G.711 as received, and Opus at 32 kbit/s. */
export const megabytesPerHour = { g711: 57.6, opus: 14.4 };

/** Refused calls give their place back, but no more than this many times the rate is announced. */
const announcedCap = 1.5;

export type LegalVerdict =
  | { kind: 'accepted' }
  /** A second person, a reason and an end date: the law does not forbid it, and does not ask for so much either. */
  | { kind: 'needs-approval'; reasons: string[] }
  | { kind: 'refused'; reasons: string[] };

export interface Stored {
  gigabytes: number;
  costPerMonth: number;
}

export interface Simulation {
  campaign: string;
  assumptions: Assumptions;
  /** Rate that the law leaves of the one asked for. */
  effectiveRate: number;
  perDay: { announced: number; refused: number; recorded: number; hours: number };
  /** Days that a recording of today is kept. */
  keptDays: number;
  /** Once as many recordings end as begin. */
  kept: { recordings: number; hours: number; g711: Stored; opus: Stored };
  verdict: LegalVerdict;
}

export function simulate(campaign: Campaign, assumptions: Assumptions, now: Date, book: LawBook): Simulation {
  const today = now.toISOString().slice(0, 10);
  const asked: Campaign = { ...campaign, rate: assumptions.rate, trigger: 'sampled' };
  const constraint = constrain(asked, { outside: [], today }, book);
  const { rate } = constraint;
  const perDay = dayOf(rate, assumptions);
  const keptDays = Math.round((Date.parse(retainUntil(now, constraint)) - now.getTime()) / 86_400_000);
  const runningDays = (keptDays * assumptions.daysPerWeek) / 7;
  const hours = perDay.hours * runningDays;
  const stored = (megabytes: number): Stored => {
    const gigabytes = (hours * megabytes) / 1_000;
    return { gigabytes, costPerMonth: gigabytes * assumptions.pricePerGbMonth };
  };
  return {
    campaign: campaign.name,
    assumptions,
    effectiveRate: rate,
    perDay,
    keptDays,
    kept: {
      recordings: perDay.recorded * runningDays,
      hours,
      g711: stored(megabytesPerHour.g711),
      opus: stored(megabytesPerHour.opus),
    },
    verdict: verdictOn(
      asked,
      constraint.blocked.map(({ text }) => text),
      constraint,
    ),
  };
}

/** Refused calls are drawn again in the place of others, up to the cap of what is announced. */
function dayOf(rate: number, { callsPerDay, minutes, refusals }: Assumptions): Simulation['perDay'] {
  const wanted = refusals < 1 ? rate / (1 - refusals) : Infinity;
  const announcedShare = Math.min(wanted, rate * announcedCap, 1);
  const announced = callsPerDay * (rate === 0 ? 0 : announcedShare);
  const refused = announced * refusals;
  const recorded = announced - refused;
  return { announced, refused, recorded, hours: (recorded * minutes) / 60 };
}

function verdictOn(
  campaign: Campaign,
  blocked: string[],
  { rate, because }: Pick<ReturnType<typeof constrain>, 'rate' | 'because'>,
): LegalVerdict {
  const mandated = campaign.class === 'mandated';
  const capped = rate < campaign.rate && blocked.length === 0;
  const reasons = [
    ...blocked,
    ...(capped ? because.filter(({ value }) => value === 'rate').map(({ text }) => text) : []),
    ...(campaign.rate >= 1 && !mandated && campaign.legalText === undefined && blocked.length === 0
      ? ['recording every conversation needs a law that orders it (legalText)']
      : []),
  ];
  if (reasons.length > 0) return { kind: 'refused', reasons };
  if (mandated || campaign.rate <= unquestionedRate) return { kind: 'accepted' };
  return {
    kind: 'needs-approval',
    reasons: [
      'no text sets a percentage; CNIL speaks of occasional, random recording of some calls (SAN-2023-008, SAN-2024-014)',
      'a second person approves it, with a purpose, a reason, references and an end date',
      ...(campaign.necessity === undefined ? ['the campaign says no necessity yet'] : []),
    ],
  };
}
