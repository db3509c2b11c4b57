/** When a recording must be gone (I5): fixed at its start, by the calendar. */
import type { Campaign } from '../../config/schema.ts';
import type { Constraint } from './constraint.ts';

/**
 * The instant by which a recording is erased everywhere: the earliest of the campaign's days, the packs' days and the
 * packs' calendar months, all counted in UTC.
 *
 * @returns RFC 3339, e.g. `2027-05-23T10:00:00.000Z`
 */
export function retainUntil(
  start: Date,
  constraint: Pick<Constraint, 'retentionDays' | 'retentionMonths'>,
  campaign: Pick<Campaign, 'retentionDays'>,
): string {
  const days = new Date(start);
  days.setUTCDate(days.getUTCDate() + Math.min(constraint.retentionDays, campaign.retentionDays));
  if (constraint.retentionMonths === undefined) return days.toISOString();
  const months = addMonths(start, constraint.retentionMonths);
  return (months < days ? months : days).toISOString();
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
