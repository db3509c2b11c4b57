import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Admission, type Place } from '../../../agent/sip/admission.ts';
import { peerNamed } from './peer.ts';

test('a peer has so many calls at once, either way, and one that ends makes room', () => {
  const peer = peerNamed('pbx', { maxCalls: 2 });
  const admission = new Admission();
  const first = admission.admit(peer) as Place;
  expect(admission.enter(peer)).toBeDefined();
  expect(admission.admit(peer)).toBe('max-calls');
  expect(admission.enter(peer)).toBeUndefined();
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  expect(admission.calls(peer)).toBe(1);
  expect(typeof admission.admit(peer)).toBe('object');
});

test('a call that must never be refused is counted and taken', () => {
  const peer = peerNamed('pbx', { maxCalls: 1 });
  const admission = new Admission();
  admission.admit(peer);
  using _place = admission.insist(peer);
  expect(admission.calls(peer)).toBe(2);
});

test('in any second no more than twice the rate is taken, and in the long run the rate', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.array(fc.nat(40), { maxLength: 300 }), (rate, gaps) => {
      let now = 0;
      const peer = peerNamed('pbx', { maxCallsPerSecond: rate });
      const admission = new Admission(() => now);
      const taken = gaps.flatMap((gap) => {
        now += gap;
        const place = admission.admit(peer);
        if (typeof place === 'string') return [];
        place[Symbol.dispose]();
        return [now];
      });
      for (const start of taken) {
        expect(taken.filter((at) => at >= start && at < start + 1_000).length).toBeLessThanOrEqual(2 * rate);
      }
      expect(taken.length).toBeLessThanOrEqual(rate + (now / 1_000) * rate + 1e-6);
    }),
    { numRuns: 50 },
  );
});
