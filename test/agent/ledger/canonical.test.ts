import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from '../../../agent/ledger/canonical.ts';

test.each([
  [{ b: 1, a: 'x', c: undefined }, '{"a":"x","b":1}'],
  [{ list: [3, { z: true, y: false }], at: '' }, '{"at":"","list":[3,{"y":false,"z":true}]}'],
  [
    { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 },
    '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\u{1f600}":5,"\ufb33":3}',
  ],
  [[Number('333333333.33333329'), 1e30, 4.5, 2e-3, 1e-27], '[333333333.3333333,1e+30,4.5,0.002,1e-27]'],
])('%j has one form (RFC 8785)', (value, form) => {
  expect(canonicalJson(value)).toBe(form);
});

test('reads back as the same value, and always the same whatever the order of keys', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const form = canonicalJson(value);
      expect(canonicalJson(JSON.parse(form))).toBe(form);
    }),
  );
});

test('what JSON cannot say is refused', () => {
  expect(() => canonicalJson({ rate: Number.NaN })).toThrow(TypeError);
});
