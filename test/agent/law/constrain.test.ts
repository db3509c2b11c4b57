import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { concerns, constrain } from '../../../agent/law/constrain.ts';
import { LawConflict, LawUnknown } from '../../../agent/law/constraint.ts';
import { loadLawPacks, packId, type LawPack } from '../../../agent/law/packs.ts';
import { campaignSchema, consentMode, type Campaign } from '../../../config/schema.ts';

function campaign(values: object = {}): Campaign {
  return campaignSchema.parse({
    name: 'support',
    direction: 'inbound',
    match: { called: ['*'] },
    purpose: 'training',
    controller: 'Exemple',
    ...values,
  });
}

function pack(values: Partial<LawPack>): LawPack {
  return {
    pack: 'FR-made-up',
    country: 'FR',
    party: 'consumer',
    classes: ['quality'],
    as_of: '2026-01-01',
    review_by: '2027-01-01',
    signed_by: 'counsel',
    mode: 'notice',
    systematic: 'allowed',
    gates: [],
    sources: [{ fact: 'made up', source: 'this test', confidence: 'weak' }],
    ...values,
  };
}

describe('the law of a campaign', () => {
  let packs: LawPack[];
  beforeAll(async () => {
    packs = await loadLawPacks();
  });

  test('French quality recordings: told, free to object, six months, the rate as declared', () => {
    const constraint = constrain(campaign(), packs);
    expect(constraint).toMatchObject({ mode: 'object', rate: 0.3, retentionDays: 183, retentionMonths: 6 });
    expect(constraint.packs).toEqual(['FR-consumer-quality@2026-11-23', 'FR-employee@2026-11-23']);
    expect(constraint.because.map(({ value, pack: by }) => [value, by])).toEqual([
      ['mode', 'FR-consumer-quality@2026-11-23'],
      ['rate', 'campaign'],
      ['retentionDays', 'campaign'],
      ['retentionMonths', 'FR-consumer-quality@2026-11-23'],
    ]);
  });

  test.each(['quality', 'training', 'complaint', 'contract-proof'])('France covers class %s', (name) => {
    expect(constrain(campaign({ class: name }), packs).mode).toBe('object');
  });

  test('a market or a site without a pack is refused by name', () => {
    expect(() => constrain(campaign({ market: 'DE' }), packs)).toThrow(LawUnknown);
    expect(() => constrain(campaign({ market: 'DE' }), packs)).toThrow(
      /"support": no law pack for market DE, class quality/u,
    );
    expect(() => constrain(campaign({ agentsSite: 'MA' }), packs)).toThrow(/no law pack for agentsSite MA/u);
  });

  test('a law that asks to keep longer than another allows is for a person to decide', () => {
    const contradiction = [...packs, pack({ keep_min_days: 400 })];
    expect(() => constrain(campaign(), contradiction)).toThrow(LawConflict);
  });

  test('what nobody signed, what is overdue and what records everything is said', () => {
    const said = concerns(campaign({ rate: 1 }), packs, '2027-06-01');
    expect(said).toContain('FR-consumer-quality@2026-11-23 is not signed off by counsel');
    expect(said).toContain('FR-consumer-quality@2026-11-23 was due for review by 2027-05-01');
    expect(said).toContain('FR-employee@2026-11-23: recording every conversation needs a law that orders it');
    expect(
      concerns(campaign(), [pack({}), pack({ pack: 'FR-staff', party: 'employee' })], '2026-06-01'),
    ).toEqual([]);
  });

  test('whatever packs meet, the strictest of each value wins and is explained', () => {
    const cap = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
      fc.option(values, { nil: undefined });
    const any = fc.record({
      mode: fc.constantFrom(...consentMode.options),
      rate: cap(fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100)),
      days: cap(fc.integer({ min: 1, max: 400 })),
    });
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 5 }), (laws) => {
        const made = laws.map(({ mode, rate, days }, index) =>
          pack({
            pack: `FR-law-${'abcde'.charAt(index)}`,
            party: index === 0 ? 'consumer' : 'employee',
            mode,
            ...(rate === undefined ? {} : { rate_cap: rate }),
            ...(days === undefined ? {} : { keep_max_days: days }),
          }),
        );
        const staff = pack({ pack: 'FR-staff', party: 'employee' });
        const all = [...made, staff];
        const constraint = constrain(campaign(), all);
        const rank = (mode: LawPack['mode']): number => consentMode.options.indexOf(mode);
        for (const each of all) {
          expect(rank(constraint.mode)).toBeGreaterThanOrEqual(rank(each.mode));
          expect(constraint.rate).toBeLessThanOrEqual(each.rate_cap ?? 1);
          expect(constraint.retentionDays).toBeLessThanOrEqual(each.keep_max_days ?? 183);
        }
        for (const { value, pack: by } of constraint.because) {
          const source = all.find((each) => packId(each) === by);
          if (value === 'mode') expect(source?.mode).toBe(constraint.mode);
          if (value === 'rate') expect(by === 'campaign' ? 0.3 : source?.rate_cap).toBe(constraint.rate);
          if (value === 'retentionDays')
            expect(by === 'campaign' ? 183 : source?.keep_max_days).toBe(constraint.retentionDays);
        }
      }),
    );
  });
});
