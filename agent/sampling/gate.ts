/**
 * The rule of the sample (I3), pure. Whether the next conversation is selected follows from the campaign's credit and from
 * one keyed uniform number (`draw-keys.ts`), so that nobody can tell beforehand and everybody can recompute afterwards.
 *
 * All amounts are whole parts per million of a conversation, all terms whole numbers below 2^53: no rounding can tip a
 * decision, here or in Redis's script (`scripts.ts`), which computes the same.
 *
 * `credit` is what the rate has earned less what was taken: each eligible conversation earns its rate, a selected one takes
 * a whole place. A selected call counts on both sides from its draw on: it earns its rate and takes its place. The ceiling
 *
 *     recorded <= sum of rates of eligible conversations + 1        i.e.   credit >= -1
 *
 * is asked for at each selection, and no later event can break it: being recorded changes nothing, a refusal gives back a
 * whole place, a call that was no conversation takes back its rate and gives back its place (1 - rate >= 0).
 */
import type { Rate } from '../../config/units.ts';

export const partsPerMillion = 1_000_000;

/** Uniform numbers are whole numbers below this. */
export const uniformRange = 2 ** 32;

/** What a campaign asks of the sample, in whole numbers. */
export interface Terms {
  /** Rate in parts per million. */
  ppm: number;
  /** Ceiling of the announced share (selected, whether refused or not), parts per million. */
  capPpm: number;
  /** Most selections of one day; undefined: no guard. */
  dailyGuard: number | undefined;
}

/** Where a campaign stands when a call is drawn: with the terms and the uniform number, all that a decision rests on. */
export interface Standing {
  credit: number;
  /** Credit of announcements: as `credit`, at the cap; a refusal gives nothing back here. */
  announceCredit: number;
  /** Selections of this day that were not given back. */
  today: number;
}

/** Unused announcement credit beyond this lapses. Where nobody refuses it never decides (see the property test). */
export const announceReserve = 2 * partsPerMillion;

const half = partsPerMillion / 2;
/** Between these rates one conversation of room would make the draw easier to guess than the goal allows. */
const [narrowBelow, narrowAbove] = [300_000, 700_000];

/** A rate in whole parts per million, rounded down: never above what was declared. */
export function inPartsPerMillion(rate: Rate): number {
  const near = Math.round(rate * partsPerMillion);
  return near / partsPerMillion > rate ? near - 1 : near;
}

/** How far the sample may lag behind its target while nobody refuses, in parts per million of a conversation. */
export function roomOf(ppm: number): number {
  return ppm > narrowBelow && ppm < narrowAbove ? 2 * partsPerMillion : partsPerMillion;
}

/**
 * The chance of the next conversation, in parts per million: 0 where the ceiling would break; 1 where the sample would fall
 * behind its room; a fair coin in the half of the room that ends at the nearer wall, because a coin tells an onlooker
 * least; else the rate itself. A backlog beyond the room (refusals, an outage, many calls ringing at once) is made up by
 * chance too, never in one burst, and within the announced share.
 */
export function chanceOf(
  { credit, announceCredit, today }: Standing,
  { ppm, capPpm, dailyGuard }: Terms,
): number {
  if (ppm <= 0 || credit + ppm < 0 || announceCredit + capPpm < 0) return 0;
  if (dailyGuard !== undefined && today >= dailyGuard) return 0;
  const room = roomOf(ppm);
  if (credit > room) return Math.max(half, capPpm);
  if (credit + ppm > room) return partsPerMillion;
  const middle = (room - partsPerMillion) / 2;
  const nearWall = ppm < half ? credit > middle : credit < middle;
  return nearWall ? half : ppm;
}

/** @param uniform whole number below `uniformRange` */
export function isSelected(standing: Standing, terms: Terms, uniform: number): boolean {
  return uniform * partsPerMillion < chanceOf(standing, terms) * uniformRange;
}

/** Accounting period of an instant: the calendar month of a time zone, e.g. `2026-11`. */
export function epochOf(instant: Date, timeZone = 'UTC'): string {
  return dayOf(instant, timeZone).slice(0, 7);
}

const dayMs = 86_400_000;
/** No offset of a zone in use is finer, and no zone changes to another within. */
const quarterMs = 900_000;

interface KnownDay {
  format: Intl.DateTimeFormat;
  quarter: number;
  text: string;
}

/** Every draw asks for its day, and its text takes microseconds to make. */
const knownDays = new Map<string, KnownDay>();

/**
 * Day of an instant by the calendar of a time zone, e.g. `2026-11-23`: of the daily key in UTC, of the daily guard in the campaign's.
 *
 * @param timeZone IANA name
 */
export function dayOf(instant: Date, timeZone = 'UTC'): string {
  const quarter = Math.floor(instant.getTime() / quarterMs);
  let known = knownDays.get(timeZone);
  if (known === undefined) {
    // The Swedish short date is ISO 8601's.
    known = { format: new Intl.DateTimeFormat('sv-SE', { timeZone }), quarter: NaN, text: '' };
    knownDays.set(timeZone, known);
  }
  if (known.quarter !== quarter) {
    known.quarter = quarter;
    known.text = known.format.format(instant);
  }
  return known.text;
}

/** @param day ISO 8601 date; the one before on the calendar, however long it was */
export function dayBefore(day: string): string {
  return new Date(Date.parse(day) - dayMs).toISOString().slice(0, 10);
}

/**
 * How long a selection may stay open. An agent that died cannot settle; after this time the selection counts as a
 * recorded conversation. That is on the safe side whatever really happened, and takes nothing from the credit that the
 * selection had not taken before. A settlement that comes later still corrects it.
 */
export const leaseMs = 6 * 3_600_000;
