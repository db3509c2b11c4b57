import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { renderSimulation } from '../../../agent/cli/simulate.ts';
import { loadLaw, type LawBook } from '../../../agent/law/load.ts';
import { simulate, type Assumptions, type Simulation } from '../../../agent/law/simulate.ts';
import { campaign, insurance } from './campaign-for-tests.ts';

const now = new Date('2026-11-26T10:00:00Z');
const usual: Assumptions = {
  rate: 0.5,
  callsPerDay: 2_000,
  minutes: 4,
  daysPerWeek: 5,
  refusals: 0.05,
  pricePerGbMonth: 0.02,
};
let law: LawBook;
beforeAll(async () => {
  law = await loadLaw();
});

function of(values: object, assumptions: Partial<Assumptions> = {}): Simulation {
  return simulate(campaign(values), { ...usual, ...assumptions }, now, law);
}

test('half of two thousand calls a day, as a person reads it', () => {
  expect(renderSimulation(of({ retentionDays: 90 }))).toBe(`\
support at 50 % of 2000 conversations of 4 minutes, 5 days a week

a day
  announced 1053
  refused   52.6  (assumed: 5 % of those who hear the announcement)
  recorded  1000  (66.7 hours)

kept at any time, each recording 90 days
  64286 recordings, 4286 hours
  G.711    247 GB at 57.6 MB an hour, 4.9 a month
  Opus     61.7 GB at 14.4 MB an hour, 1.2 a month
  price     0.02 for a GB-month

law: needs approval
  - no text sets a percentage; CNIL speaks of occasional, random recording of some calls (SAN-2023-008, SAN-2024-014)
  - a second person approves it, with a purpose, a reason, references and an end date
  - the campaign says no necessity yet`);
});

test('a thousand agents at 30 %, half a year: near eleven terabytes in G.711', () => {
  // 5 hours of talk a day each, as 4-minute calls; law.md reckons 10.9 TB with 21 days a month for six months.
  const { kept } = of({}, { rate: 0.3, callsPerDay: 75_000, refusals: 0 });
  expect(kept.g711.gigabytes / 1_000).toBeGreaterThan(10.5);
  expect(kept.g711.gigabytes / 1_000).toBeLessThan(11.5);
  expect(kept.g711.gigabytes / kept.opus.gigabytes).toBeCloseTo(4);
});

describe("the law's verdict", () => {
  test('up to the usual rate it accepts', () => {
    expect(of({}, { rate: 0.3 }).verdict).toEqual({ kind: 'accepted' });
  });

  test('everything is refused without a law that orders it', () => {
    const { verdict, effectiveRate, kept } = of({}, { rate: 1 });
    expect(verdict).toEqual({
      kind: 'refused',
      reasons: [
        'recording every conversation needs a law that orders it (legalText), by FR-consumer-quality@2026-11-23',
      ],
    });
    expect([effectiveRate, kept.recordings]).toEqual([0, 0]);
  });

  test('everything is accepted where a law orders it', () => {
    expect(of(insurance, { rate: 1 }).verdict).toEqual({ kind: 'accepted' });
  });

  test('an unknown law refuses, and says what is missing', () => {
    expect(of({ market: 'MG', controllerSeat: 'FR' }, { rate: 0.1 }).verdict).toMatchObject({
      kind: 'refused',
      reasons: [expect.stringContaining('MG-consumer-quality@2026-11-23 ships switched off')],
    });
  });

  test('a cap refuses what is above it and names its giver', () => {
    const packs = law.packs.map((pack) => (pack.pack === 'FR-employee' ? { ...pack, rate_cap: 0.2 } : pack));
    const capped = simulate(campaign(), { ...usual, rate: 0.25 }, now, { ...law, packs });
    expect(capped.effectiveRate).toBe(0.2);
    expect(capped.verdict).toEqual({
      kind: 'refused',
      reasons: ['at most 0.2 of the conversations, by FR-employee@2026-11-23'],
    });
  });
});

test('never more recorded than the rate, and never more announced than its cap', () => {
  const share = fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100);
  fc.assert(
    fc.property(share, share, (rate, refusals) => {
      const { perDay, effectiveRate } = of({ legalText: 'a text' }, { rate, refusals });
      expect(perDay.recorded).toBeLessThanOrEqual(2_000 * effectiveRate + 1e-6);
      expect(perDay.announced).toBeLessThanOrEqual(2_000 * Math.min(1, effectiveRate * 1.5) + 1e-6);
      expect(perDay.recorded + perDay.refused).toBeCloseTo(perDay.announced);
    }),
  );
});
