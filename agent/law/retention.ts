/** When a recording must be gone (I5): fixed at its start, by the calendar. */
import type { Asked } from './asked.ts';
import type { Constraint } from './constraint.ts';

/**
 * The instant by which a recording is erased everywhere: the earlier of the constraint's days and its calendar months,
 * counted in UTC.
 *
 * @returns RFC 3339, e.g. `2027-05-23T10:00:00.000Z`
 */
export function retainUntil(
  start: Date,
  { retentionDays, retentionMonths }: Pick<Constraint, 'retentionDays' | 'retentionMonths'>,
): string {
  const ends = [
    ...(retentionDays === undefined ? [] : [addDays(start, retentionDays)]),
    ...(retentionMonths === undefined ? [] : [addMonths(start, retentionMonths)]),
  ];
  // Nobody says how long: nothing may be kept at all.
  const end = ends.reduce((one, other) => (other < one ? other : one), ends[0] ?? start);
  return end.toISOString();
}

/**
 * Until when a contract that was concluded in the call is kept (Code des assurances L112-2-2 IV: two years from its signature).
 *
 * @param signedOn day of the signature, `2026-11-20`; it counts to its end, in UTC
 * @returns RFC 3339
 */
export function retainAfterSignature(signedOn: string, months: number): string {
  return addMonths(new Date(`${signedOn}T23:59:59.999Z`), months).toISOString();
}

/**
 * Minima against maxima, one text each: what one law asks to keep longer than another lets it. Calendar months of
 * unlike lengths are compared at their worst, so that no start of a recording can turn out contradictory.
 */
export function keepConflicts(asked: Asked): { pack: string; text: string }[] {
  const minima = [
    { given: asked.keepMinDays, unit: 'days' as const },
    { given: asked.keepMinMonths, unit: 'months' as const },
  ];
  const maxima = [
    { given: asked.keepMaxDays, unit: 'days' as const },
    { given: asked.keepMaxMonths, unit: 'months' as const },
  ];
  return minima.flatMap(({ given: min, unit }) =>
    maxima.flatMap(({ given: max, unit: other }) => {
      if (min === undefined || max === undefined) return [];
      const clear =
        unit === other
          ? min.value <= max.value
          : longestDays(min.value, unit) <= shortestDays(max.value, other);
      if (clear) return [];
      const text = `${min.pack} asks to keep ${min.value} ${unit} at least, but ${max.pack} lets keep ${max.value} ${other} at most`;
      return [{ pack: min.pack, text }];
    }),
  );
}

const daysInYear = 365.2425;

function longestDays(value: number, unit: 'days' | 'months'): number {
  return unit === 'days' ? value : Math.ceil((value * daysInYear) / 12) + (value === 1 ? 0 : 1);
}

function shortestDays(value: number, unit: 'days' | 'months'): number {
  return unit === 'days' ? value : Math.floor((value * daysInYear) / 12) - 2;
}

function addDays(start: Date, days: number): Date {
  const end = new Date(start);
  end.setUTCDate(end.getUTCDate() + days);
  return end;
}

/** The same day and time some calendar months later; the last day of the month where it has no such day. */
function addMonths(start: Date, months: number): Date {
  const end = new Date(start);
  end.setUTCDate(1);
  end.setUTCMonth(end.getUTCMonth() + months);
  const lastDay = new Date(Date.UTC(end.getUTCFullYear(), end.getUTCMonth() + 1, 0)).getUTCDate();
  end.setUTCDate(Math.min(start.getUTCDate(), lastDay));
  return end;
}
