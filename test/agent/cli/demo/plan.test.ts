import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planCalls, randomFrom, type Mix } from '../../../../agent/cli/demo/plan.ts';

const destinations = [
  { campaign: 'support', called: '+33800000001', busy: '+33800000486' },
  { campaign: 'ventes', called: '+33800000002', busy: '+33800000487' },
];
const mixes = fc.record({ talk: fc.nat(9), refuser: fc.nat(9), abandon: fc.nat(9), busy: fc.integer({ min: 1, max: 9 }) });

describe('the plan of the demo', () => {
  it('is the same for the same seed, and another for another', () => {
    const plan = (seed: number): string =>
      JSON.stringify(planCalls({ calls: 40, mix: { talk: 2, refuser: 1, abandon: 1 }, seed, destinations }));
    expect(plan(7)).toBe(plan(7));
    expect(plan(7)).not.toBe(plan(8));
  });

  it('gives each script its share to within one call, for any mix', () => {
    fc.assert(
      fc.property(mixes, fc.nat(200), fc.nat(), (mix: Required<Mix>, calls, seed) => {
        const plan = planCalls({ calls, mix, seed, destinations });
        expect(plan).toHaveLength(calls);
        const total = mix.talk + mix.refuser + mix.abandon + mix.busy;
        for (const script of ['talk', 'refuser', 'abandon', 'busy'] as const) {
          const planned = plan.filter((call) => call.script === script).length;
          expect(Math.abs(planned - (mix[script] / total) * calls)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('spreads the calls over the campaigns, each caller with a number of their own', () => {
    const plan = planCalls({ calls: 10, mix: { talk: 4, busy: 1 }, seed: 3, destinations });
    expect(plan.filter(({ campaign }) => campaign === 'support')).toHaveLength(5);
    expect(new Set(plan.map(({ caller }) => caller)).size).toBe(10);
    for (const { script, campaign, called } of plan) {
      const destination = destinations.find((one) => one.campaign === campaign)!;
      expect(called).toBe(script === 'busy' ? destination.busy : destination.called);
    }
  });

  it('plans nothing for an empty mix', () => {
    expect(planCalls({ calls: 10, mix: {}, seed: 1, destinations })).toEqual([]);
  });

  it('draws numbers in [0, 1) that are spread evenly', () => {
    const random = randomFrom(42);
    const tenths = Array<number>(10).fill(0);
    for (let drawn = 0; drawn < 10_000; drawn += 1) {
      const number = random();
      expect(number).toBeGreaterThanOrEqual(0);
      expect(number).toBeLessThan(1);
      tenths[Math.floor(number * 10)]! += 1;
    }
    for (const tenth of tenths) expect(Math.abs(tenth - 1_000)).toBeLessThan(150);
  });
});
