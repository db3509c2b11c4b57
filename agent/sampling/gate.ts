/**
 * The rule of the sample (I3), pure: the next conversation is selected if and only if, were it recorded, the ceiling
 * would still hold:
 *
 *     recorded + open + 1 <= rate x eligible + 1
 *
 * A selection that is still open counts as recorded, so `recorded <= rate x eligible + 1` holds at every instant,
 * whatever becomes of the open ones. Rates are whole parts per million and all terms whole numbers below 2^53 (nine
 * thousand million conversations a month at most): no rounding can tip a decision, here or in Redis's script.
 */
import type { Rate } from '../../config/units.ts';
import type { SampleCounts } from './sampler.ts';

export const partsPerMillion = 1_000_000;

/** A rate in whole parts per million, rounded down: never above what was declared. */
export function inPartsPerMillion(rate: Rate): number {
  const near = Math.round(rate * partsPerMillion);
  return near / partsPerMillion > rate ? near - 1 : near;
}

/** A rate of 0 selects nothing: the start credit is for campaigns that record. */
export function isSelected({ eligible, recorded, open }: SampleCounts, ppm: number): boolean {
  return ppm > 0 && (recorded + open) * partsPerMillion <= ppm * eligible;
}

/** Accounting period of an instant: the calendar month in UTC, e.g. `2026-11`. */
export function epochOf(instant: Date): string {
  return instant.toISOString().slice(0, 7);
}

/**
 * How long a selection may stay open. An agent that died cannot settle; after this time the selection counts as a
 * recorded conversation. That is on the safe side whatever really happened: it takes a whole place for at most `rate`
 * of allowance. A settlement that comes later still corrects it.
 */
export const leaseMs = 6 * 3_600_000;
