import fc from 'fast-check';
import { expect, test } from 'vitest';
import { placeOfNumber } from '../../../agent/law/numbers.ts';

test.each([
  ['+33612345678', 'FR', 'FR'],
  ['0033 6 12 34 56 78', 'FR', 'FR'],
  ['sip:+33612345678@192.0.2.1', 'FR', 'FR'],
  ['0612345678', 'FR', 'FR'],
  ['0612345678', 'BE', 'BE'],
  ['+351211234567', 'FR', 'PT'],
  ['+353112345', 'FR', 'IE'],
  ['+212612345678', 'FR', 'MA'],
  ['+442071234567', 'FR', 'GB'],
  ['+441534123456', 'FR', 'JE'],
  ['+447624123456', 'FR', 'IM'],
  ['+3906123456', 'FR', 'IT'],
  ['+390669812345', 'FR', undefined],
  ['+12125550100', 'FR', 'US'],
  ['+12125550100', 'US-TX', 'US-TX'],
  ['+14165550100', 'US-TX', 'CA'],
  ['+15145550100', 'CA-ON', 'CA-ON'],
  ['+18765550100', 'FR', undefined],
  ['+905321234567', 'FR', undefined],
  ['+1', 'FR', undefined],
  ['anonymous', 'FR', undefined],
  ['', 'FR', undefined],
  ['*31#', 'FR', undefined],
])('%s with a market of %s is of %s', (number, home, place) => {
  expect(placeOfNumber(number, home)).toBe(place);
});

test('whatever is dialled, a place or nothing comes out', () => {
  fc.assert(
    fc.property(fc.string(), (written) => {
      expect(placeOfNumber(written, 'FR') ?? 'FR').toMatch(/^[A-Z]{2}$/u);
    }),
  );
});
