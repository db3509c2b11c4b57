import fc from 'fast-check';
import { expect, test } from 'vitest';
import { epochOf, inPartsPerMillion, isSelected } from '../../../agent/sampling/gate.ts';
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
  for (let part = 0; part <= 10_000; part += 1)
    expect(inPartsPerMillion((part / 10_000) as Rate)).toBe(part * 100);
});

test('no selection can break the ceiling, in whole numbers', () => {
  const count = fc.integer({ min: 0, max: 1_000_000_000 });
  fc.assert(
    fc.property(
      count,
      count,
      count,
      fc.integer({ min: 0, max: 1_000_000 }),
      (eligible, recorded, open, ppm) => {
        const over = (BigInt(recorded) + BigInt(open)) * 1_000_000n > BigInt(ppm) * BigInt(eligible);
        expect(isSelected({ eligible, recorded, open }, ppm)).toBe(ppm > 0 && !over);
      },
    ),
  );
});

test('the accounting period is the calendar month in UTC', () => {
  expect(epochOf(new Date('2026-11-30T23:59:59.999Z'))).toBe('2026-11');
  expect(epochOf(new Date('2026-12-01T00:00:00.000Z'))).toBe('2026-12');
});
