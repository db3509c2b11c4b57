import fc from 'fast-check';
import { expect, test } from 'vitest';
import { estimateQuality, mosOf } from '../../../media/rtp/quality.ts';

const heard = { codec: 'PCMA', packetsReceived: 1_000, packetsLost: 0, jitterMs: 0 } as const;

test.each([
  ['an untroubled call in G.711', {}, 92.7, 4.4],
  ['one packet in a hundred lost', { packetsReceived: 990, packetsLost: 10 }, 89.1, 4.3],
  ['one in twenty', { packetsReceived: 950, packetsLost: 50 }, 76.9, 3.9],
  ['G.729, untroubled', { codec: 'G729' }, 81.7, 4.1],
  ['a jitter that asks for a long buffer', { jitterMs: 150 }, 69.8, 3.6],
] as const)('%s', (_name, changed, rFactor, mos) => {
  const quality = estimateQuality({ ...heard, ...changed })!;
  expect(quality.rFactor).toBeCloseTo(rFactor, 0);
  expect(quality.mos).toBeCloseTo(mos, 0.5);
});

test('of what never came nothing is said', () => {
  expect(estimateQuality({ ...heard, packetsReceived: 0 })).toBeUndefined();
});

test('the scale of opinion has its corners where G.107 has them', () => {
  expect(mosOf(-5)).toBe(1);
  expect(mosOf(0)).toBe(1);
  expect(mosOf(50)).toBeCloseTo(2.58, 2);
  expect(mosOf(93.2)).toBeCloseTo(4.41, 2);
  expect(mosOf(100)).toBe(4.5);
});

test('more loss or more jitter is never better, and everything stays on its scale', () => {
  const some = fc.record({
    codec: fc.constantFrom('PCMA' as const, 'G729' as const, 'OPUS' as const),
    packetsReceived: fc.integer({ min: 1, max: 100_000 }),
    packetsLost: fc.nat(100_000),
    jitterMs: fc.double({ min: 0, max: 500, noNaN: true }),
  });
  fc.assert(
    fc.property(
      some,
      fc.nat(1_000),
      fc.double({ min: 0, max: 100, noNaN: true }),
      (received, lost, jitter) => {
        const quality = estimateQuality(received)!;
        const worse = estimateQuality({
          ...received,
          packetsLost: received.packetsLost + lost,
          jitterMs: received.jitterMs + jitter,
        })!;
        expect(worse.rFactor).toBeLessThanOrEqual(quality.rFactor);
        expect(quality.mos).toBeGreaterThanOrEqual(1);
        expect(quality.mos).toBeLessThanOrEqual(4.5);
        expect(quality.lossRatio).toBeGreaterThanOrEqual(0);
        expect(quality.lossRatio).toBeLessThanOrEqual(1);
      },
    ),
  );
});
