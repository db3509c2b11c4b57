import fc from 'fast-check';
import { expect, test } from 'vitest';
import { retainUntil } from '../../../agent/law/retention.ts';

test.each([
  ['six months by the calendar', '2026-11-23T10:00:00.000Z', 183, 6, '2027-05-23T10:00:00.000Z'],
  ['into a month without such a day', '2026-08-31T10:00:00.000Z', 190, 6, '2027-02-28T10:00:00.000Z'],
  ['into a leap day', '2027-08-31T23:59:59.000Z', 190, 6, '2028-02-29T23:59:59.000Z'],
  ['days where they end earlier', '2026-11-23T10:00:00.000Z', 30, 6, '2026-12-23T10:00:00.000Z'],
  ['days alone', '2026-11-23T10:00:00.000Z', 183, undefined, '2027-05-25T10:00:00.000Z'],
])('%s', (_, start, retentionDays, retentionMonths, end) => {
  expect(retainUntil(new Date(start), { retentionDays, retentionMonths })).toBe(end);
});

test('never later than any of its limits', () => {
  const start = fc.date({ min: new Date('2020-01-01'), max: new Date('2099-12-31'), noInvalidDate: true });
  fc.assert(
    fc.property(
      start,
      fc.integer({ min: 1, max: 1_827 }),
      fc.integer({ min: 1, max: 60 }),
      (from, retentionDays, months) => {
        const end = new Date(retainUntil(from, { retentionDays, retentionMonths: months }));
        expect(end.getTime()).toBeGreaterThan(from.getTime());
        expect(end.getTime() - from.getTime()).toBeLessThanOrEqual(retentionDays * 86_400_000);
        const monthsPassed =
          (end.getUTCFullYear() - from.getUTCFullYear()) * 12 + end.getUTCMonth() - from.getUTCMonth();
        expect(monthsPassed).toBeLessThanOrEqual(months);
      },
    ),
  );
});
