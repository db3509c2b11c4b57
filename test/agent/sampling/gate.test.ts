import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chanceOf, dayBefore, dayOf, epochOf, inPartsPerMillion } from '../../../agent/sampling/gate.ts';
import type { Rate } from '../../../config/units.ts';

test.each([
  [0.3, 300_000],
  [0.29, 290_000],
  [0.07, 70_000],
  [1, 1_000_000],
  [0, 0],
  [2 / 3, 666_666],
  [0.9999999, 999_999],
])('the rate %d is %d parts per million, never rounded up', (rate, ppm) => {
  expect(inPartsPerMillion(rate as Rate)).toBe(ppm);
});

test('every rate of four decimals is exact', () => {
  const parts = Array.from({ length: 10_001 }, (_, part) => part);
  expect(parts.filter((part) => inPartsPerMillion((part / 10_000) as Rate) !== part * 100)).toEqual([]);
});

test('no selection can break a ceiling, and every chance is a share', () => {
  const credit = fc.integer({ min: -3_000_000, max: 2 ** 50 });
  const share = fc.integer({ min: 0, max: 1_000_000 });
  fc.assert(
    fc.property(credit, credit, fc.nat(5), share, share, (credit, announceCredit, today, ppm, capPpm) => {
      const chance = chanceOf({ credit, announceCredit, today }, { ppm, capPpm, dailyGuard: 3 });
      expect(chance).toBeGreaterThanOrEqual(0);
      expect(chance).toBeLessThanOrEqual(1_000_000);
      if (ppm === 0 || credit + ppm < 0 || announceCredit + capPpm < 0 || today >= 3) expect(chance).toBe(0);
    }),
  );
});

test('the accounting period is the calendar month in UTC', () => {
  expect(epochOf(new Date('2026-11-30T23:59:59.999Z'))).toBe('2026-11');
  expect(epochOf(new Date('2026-12-01T00:00:00.000Z'))).toBe('2026-12');
  expect(dayOf(new Date('2026-11-30T23:59:59.999Z'))).toBe('2026-11-30');
});

test.each([
  // Midnight of Paris in winter and in summer; the days on which it changes have 25 and 23 hours.
  ['Europe/Paris', '2026-11-30T22:59:59.999Z', '2026-11-30', '2026-12-01'],
  ['Europe/Paris', '2026-06-30T21:59:59.999Z', '2026-06-30', '2026-07-01'],
  ['Europe/Paris', '2026-10-24T21:59:59.999Z', '2026-10-24', '2026-10-25'],
  ['Europe/Paris', '2026-10-25T22:59:59.999Z', '2026-10-25', '2026-10-26'],
  ['Europe/Paris', '2026-03-28T22:59:59.999Z', '2026-03-28', '2026-03-29'],
  ['Europe/Paris', '2026-03-29T21:59:59.999Z', '2026-03-29', '2026-03-30'],
  ['Asia/Kathmandu', '2026-12-31T18:14:59.999Z', '2026-12-31', '2027-01-01'],
  ['America/New_York', '2026-11-01T03:59:59.999Z', '2026-10-31', '2026-11-01'],
])('the day of %s ends at %s', (timeZone, last, day, next) => {
  const end = new Date(last);
  expect(dayOf(end, timeZone)).toBe(day);
  const after = new Date(end.getTime() + 1);
  expect(dayOf(after, timeZone)).toBe(next);
  expect(epochOf(after, timeZone)).toBe(next.slice(0, 7));
  expect(dayBefore(next)).toBe(day);
});
