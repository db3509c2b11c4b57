import { expect, it } from 'vitest';
import { quartersMiB, slopeMiB } from './memory.ts';

const mib = 2 ** 20;
const samples = (of: (minute: number) => number) =>
  [0, 1, 2, 3, 4, 5, 6, 7].map((minute) => ({ minute, bytes: of(minute) * mib }));

it.each<[string, (minute: number) => number, number]>([
  ['flat', () => 40, 0],
  ['a leak of 2 MiB a minute', (minute) => 40 + 2 * minute, 2],
  ['what is given back', (minute) => 40 - minute, -1],
  ['noise around a level', (minute) => 40 + (minute % 4 < 2 ? 1 : -1) * (minute % 2 === 0 ? 1 : -1), 0],
])('%s is seen as what it is', (_name, of, expected) => {
  expect(slopeMiB(samples(of))).toBeCloseTo(expected, 0);
});

it('memory is told at the end of each quarter', () => {
  expect(quartersMiB(samples((minute) => 40 + minute))).toEqual([41, 43, 45, 47]);
});
