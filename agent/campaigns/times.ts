/** Whether a campaign's hours are now, by the calendar and the clock of the place that they are given for. */
import type { TimeWindow, Weekday } from '../../config/schema.ts';

interface LocalTime {
  day: Weekday;
  /** `09:30`, comparable as text. */
  time: string;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** A window from 22:00 to 06:00 belongs to the day on which it begins. */
export function isOpen(windows: readonly TimeWindow[], now: Date): boolean {
  return windows.some(({ days, from, to, timeZone }) => {
    const { day, time } = localTime(now, timeZone);
    if (from < to) return days.includes(day) && from <= time && time < to;
    return (days.includes(day) && from <= time) || (days.includes(dayBefore(day)) && time < to);
  });
}

function localTime(now: Date, timeZone: string): LocalTime {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    formats.set(timeZone, format);
  }
  const parts = new Map(format.formatToParts(now).map(({ type, value }) => [type, value]));
  return {
    day: parts.get('weekday')!.toLowerCase() as Weekday,
    time: `${parts.get('hour')}:${parts.get('minute')}`,
  };
}

const week: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

function dayBefore(day: Weekday): Weekday {
  return week.at(week.indexOf(day) - 1)!;
}
