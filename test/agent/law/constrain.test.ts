import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { askedBy, nothingAsked, strictest, type Asked } from '../../../agent/law/asked.ts';
import { concerns, constrain } from '../../../agent/law/constrain.ts';
import { becauseIds, LawConflict, mayBeRecorded, type Constraint } from '../../../agent/law/constraint.ts';
import { Law } from '../../../agent/law/law.ts';
import { loadLaw, type LawBook } from '../../../agent/law/load.ts';
import { gate, packId, type LawPack } from '../../../agent/law/packs.ts';
import { consentMode } from '../../../config/schema.ts';
import { book, campaign, insurance, pack, staff, today } from './campaign-for-tests.ts';

const kinds = (constraint: Constraint): string[] => constraint.blocked.map(({ kind }) => kind);
const ofCampaign = { outside: [], today };

describe('the law that ships', () => {
  let law: LawBook;
  beforeAll(async () => {
    law = await loadLaw();
  });

  test('French quality recordings: told, free to object, six months, the rate as declared', () => {
    const constraint = constrain(campaign(), { outside: ['+33612345678'], today }, law);
    expect(constraint).toMatchObject({
      mode: 'object',
      rate: 0.3,
      drawnRate: 0.3,
      retentionDays: 183,
      retentionMonths: 6,
      onRefusal: 'continue-unrecorded',
      promptInsideRecording: false,
      notice: ['controller', 'how-to-refuse', 'is-recorded', 'purpose', 'where-more'],
      blocked: [],
    });
    expect(constraint.packs).toEqual(['FR-consumer-quality@2026-11-23', 'FR-employee@2026-11-23']);
    expect(becauseIds(constraint)).toEqual([
      'mode=FR-consumer-quality@2026-11-23',
      'rate=campaign',
      'retentionDays=campaign',
      'retentionMonths=FR-consumer-quality@2026-11-23',
    ]);
  });

  test.each([
    ['quality', {}, 'object'],
    ['training', {}, 'object'],
    ['complaint', { trigger: 'on-demand', purpose: 'complaint' }, 'object'],
    ['contract-proof', { trigger: 'on-demand', purpose: 'contract-proof' }, 'object'],
  ])('France covers class %s', (name, values, mode) => {
    const constraint = constrain(campaign({ class: name, ...values }), ofCampaign, law);
    expect(constraint).toMatchObject({ mode, blocked: [] });
    expect(mayBeRecorded(constraint)).toBe(true);
    expect(constraint.drawnRate).toBe('trigger' in values ? 0 : 0.3);
  });

  test('insurance cold calls: all of them, a refusal ends the call, kept a month unless a contract is signed', () => {
    const constraint = constrain(campaign({ ...insurance, direction: 'outbound' }), ofCampaign, law);
    expect(constraint).toMatchObject({
      rate: 1,
      onRefusal: 'end-call',
      retentionDays: 31,
      afterSignatureMonths: 24,
      notice: ['kept-two-years-if-contract', 'recorded-by-law', 'refusal-ends-call', 'right-to-copy'],
      blocked: [],
    });
    expect(constraint.gates.map((each) => each.gate)).toContain('prior-opt-in');
  });

  test('investment services: five years, and a campaign that keeps less contradicts the law', () => {
    const investment = campaign({ ...insurance, duty: 'investment' });
    expect(constrain(investment, ofCampaign, law)).toMatchObject({ retentionMonths: 60, blocked: [] });
    const short = campaign({ ...insurance, duty: 'investment', retentionDays: 400 });
    expect(constrain(short, ofCampaign, law)).toMatchObject({
      rate: 0,
      blocked: [
        {
          kind: 'conflict',
          text: 'FR-investment@2026-11-23 asks to keep 60 months at least, but campaign lets keep 400 days at most',
        },
      ],
    });
    expect(() => new Law(law).take(short, today)).toThrow(LawConflict);
  });

  test.each([
    ['BE', { mode: 'object', retentionDays: 30 }],
    ['ES', { mode: 'object', retentionDays: 183 }],
    ['PT', { mode: 'consent', retentionDays: 30 }],
    ['IT', { mode: 'object', retentionDays: 183 }],
    ['CH', { mode: 'consent', retentionDays: 183 }],
    ['GB', { mode: 'object', retentionDays: 183 }],
    ['IE', { mode: 'object', retentionDays: 183 }],
    ['NL', { mode: 'object', retentionDays: 183 }],
    ['RO', { mode: 'object', retentionDays: 183 }],
    ['PL', { mode: 'object', retentionDays: 183 }],
    ['US', { mode: 'consent', promptInsideRecording: false }],
    ['US-CA', { mode: 'consent', promptInsideRecording: false }],
    ['US-TX', { mode: 'object' }],
    ['US-MT', { mode: 'object' }],
    ['CA', { mode: 'consent' }],
    ['CA-ON', { mode: 'object' }],
  ])('a call with a market of %s from a French site', (market, expected) => {
    expect(constrain(campaign({ market, controllerSeat: 'FR' }), ofCampaign, law)).toMatchObject({
      ...expected,
      blocked: [],
    });
  });

  test.each(['DE', 'MA', 'TN', 'SN', 'MU', 'MG'])(
    'a market of %s records nothing until counsel has spoken',
    (market) => {
      const constraint = constrain(campaign({ market, controllerSeat: 'FR' }), ofCampaign, law);
      expect(constraint).toMatchObject({ mode: 'consent', rate: 0, drawnRate: 0 });
      expect(kinds(constraint)).toEqual(['switched-off']);
    },
  );

  test('Washington wants the announcement in the recording, which is not done yet, so nothing is recorded', () => {
    const constraint = constrain(campaign({ market: 'US-WA', controllerSeat: 'FR' }), ofCampaign, law);
    expect(constraint).toMatchObject({ promptInsideRecording: true, rate: 0 });
    expect(kinds(constraint)).toEqual(['unsupported']);
  });

  test("the law of the caller's own country comes in with the number", () => {
    const from = (number: string): Constraint => constrain(campaign(), { outside: [number], today }, law);
    expect(from('+351211234567')).toMatchObject({ mode: 'consent', retentionDays: 30, rate: 0.3 });
    expect(from('0612345678')).toMatchObject({ mode: 'object', blocked: [] });
    expect(kinds(from('+4930123456'))).toEqual(['switched-off']);
    expect(kinds(from('+905321234567'))).toEqual(['unknown-number']);
    expect(kinds(from('anonymous'))).toEqual(['unknown-number']);
    const assumed = campaign({ unknownNumbers: 'as-market' });
    expect(constrain(assumed, { outside: ['anonymous'], today }, law)).toMatchObject({ mode: 'object' });
  });

  test('every outside party counts', () => {
    const outside = ['+33612345678', '+351211234567'];
    expect(constrain(campaign(), { outside, today }, law).mode).toBe('consent');
    expect(constrain(campaign(), { outside: [...outside, 'anonymous'], today }, law).rate).toBe(0);
  });

  test('French consumers, agents in Rabat: the secrecy law of the site comes too, and no tool is declared', () => {
    const rabat = constrain(campaign({ agentsSite: 'MA' }), ofCampaign, law);
    expect(rabat.packs).toEqual([
      'FR-consumer-quality@2026-11-23',
      'MA-consumer-quality@2026-11-23',
      'MA-employee@2026-11-23',
    ]);
    expect(kinds(rabat)).toEqual(['switched-off', 'switched-off', 'transfer', 'transfer']);
    expect(rabat.blocked.at(-1)?.text).toBe(
      'listening in MA: no adequacy decision covers it, and no tool is declared',
    );
  });

  test('a place without a pack is unknown law, and says where', () => {
    const constraint = constrain(campaign({ storagePlaces: ['SE'] }), ofCampaign, law);
    expect(constraint.blocked).toEqual([
      {
        kind: 'unknown-law',
        pack: 'campaign',
        text: 'no law pack for storage SE, class quality: add one in law.overrides',
      },
    ]);
  });

  test('what a person should know: no signature, a review that is due, gates that are closed', () => {
    const said = concerns(campaign({ mandate: { dpia: 'DPIA-7' } }), '2027-06-01', law);
    expect(said).toContain('FR-consumer-quality@2026-11-23 is not signed off by counsel');
    expect(said).toContain('FR-consumer-quality@2026-11-23 was due for review by 2027-05-01');
    expect(said).toContain('EU-transfers@2026-11-23 was due for review by 2027-05-01');
    expect(said).toContain('FR-employee@2026-11-23 asks for staff-consulted: mandate.staffConsultedOn');
    expect(said.join()).not.toContain('dpia');
  });
});

describe('gates and reviews', () => {
  const asking = [pack({ gates: ['dpia', 'staff-consulted'] }), staff];

  test('a closed gate warns, or blocks where the site enforces gates', () => {
    expect(kinds(constrain(campaign(), ofCampaign, book(asking)))).toEqual([]);
    const enforced = constrain(campaign(), ofCampaign, book(asking, { gates: 'enforce' }));
    expect(enforced).toMatchObject({ rate: 0, mode: 'consent' });
    expect(kinds(enforced)).toEqual(['gate', 'gate']);
    const mandate = { dpia: 'DPIA-7', staffConsultedOn: '2026-11-01' };
    expect(kinds(constrain(campaign({ mandate }), ofCampaign, book(asking, { gates: 'enforce' })))).toEqual(
      [],
    );
  });

  test('a consultation that is yet to come opens nothing', () => {
    const late = campaign({ mandate: { dpia: 'DPIA-7', staffConsultedOn: '2026-12-24' } });
    const constraint = constrain(late, ofCampaign, book(asking));
    expect(constraint.gates.find((each) => each.gate === 'staff-consulted')).toMatchObject({
      open: false,
      by: 'mandate.staffConsultedOn is 2026-12-24, in the future',
    });
    const then = { outside: [], today: '2026-12-24' };
    expect(constrain(late, then, book(asking)).gates.every(({ open }) => open)).toBe(true);
  });

  test('a processor needs its instruction', () => {
    const { gates } = constrain(campaign({ processor: 'Centre SARL' }), ofCampaign, book([pack(), staff]));
    expect(gates).toEqual([
      { gate: 'instruction', pack: 'campaign', open: false, by: 'mandate.instruction' },
    ]);
  });

  test('past its review and its grace a pack carries what was declared before, and nothing new', () => {
    const packs = book([pack(), staff]);
    const on = (day: string, values: object = {}): string[] =>
      kinds(constrain(campaign(values), { outside: [], today: day }, packs));
    expect(on('2027-01-02')).toEqual([]);
    expect(on('2027-04-01')).toEqual([]);
    expect(on('2027-04-02')).toEqual(['lapsed', 'lapsed']);
    expect(on('2027-04-02', { declaredOn: '2027-04-01' })).toEqual([]);
    expect(on('2027-04-02', { declaredOn: '2027-04-02' })).toEqual(['lapsed', 'lapsed']);
  });

  test('recording everything needs a legal text where a law says so', () => {
    const strict = book([pack({ systematic: 'needs-legal-text' }), staff]);
    const all = { ...campaign(), rate: 1 };
    expect(kinds(constrain(all, ofCampaign, strict))).toEqual(['systematic']);
    expect(kinds(constrain({ ...all, legalText: 'CMF L533-10' }, ofCampaign, strict))).toEqual([]);
  });
});

describe('the law at hand', () => {
  test('is computed once for a campaign, a country and a day', () => {
    const law = new Law(book([pack(), staff]));
    const support = campaign();
    const call = (number: string, day = today): Constraint =>
      law.constrain(support, { outside: [number], today: day });
    expect(call('+33612345678')).toBe(call('+33698765432'));
    expect(call('+33612345678')).not.toBe(call('+33612345678', '2026-11-27'));
    expect(call('+351211234567')).not.toBe(call('+33612345678'));
  });
});

const option = <Value>(values: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
  fc.option(values, { nil: undefined });
const anyPack: fc.Arbitrary<LawPack> = fc
  .record({
    pack: fc.stringMatching(/^FR-[a-z]{1,8}$/u),
    side: fc.constantFrom('consumer' as const, 'employee' as const),
    mode: fc.constantFrom(...consentMode.options),
    rate_cap: option(fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100)),
    keep_max_days: option(fc.integer({ min: 1, max: 400 })),
    keep_max_months: option(fc.integer({ min: 1, max: 24 })),
    keep_min_days: option(fc.integer({ min: 1, max: 400 })),
    keep_min_months: option(fc.integer({ min: 1, max: 24 })),
    systematic: fc.constantFrom('allowed' as const, 'needs-legal-text' as const),
    on_refusal: fc.constantFrom('continue-unrecorded' as const, 'end-call' as const),
    prompt_in_recording: fc.boolean(),
    notice: fc.subarray(['purpose' as const, 'question' as const, 'storage-period' as const]),
    gates: fc.subarray([...gate.options]),
    status: fc.constantFrom('on' as const, 'on' as const, 'off' as const),
  })
  .map(({ rate_cap, keep_max_days, keep_max_months, keep_min_days, keep_min_months, ...rest }) => {
    const caps = { rate_cap, keep_max_days, keep_max_months, keep_min_days, keep_min_months };
    const given = Object.fromEntries(Object.entries(caps).filter(([, value]) => value !== undefined));
    return pack({ ...rest, ...given });
  });
const packsOfDifferentNames = fc.uniqueArray(anyPack, { maxLength: 6, selector: (each) => each.pack });

/** Whether the first asks at least as much as the second in everything. */
function asksAsMuch(one: Constraint, other: Constraint): void {
  const rank = ({ mode }: Constraint): number => consentMode.options.indexOf(mode);
  expect(rank(one)).toBeGreaterThanOrEqual(rank(other));
  expect(one.rate).toBeLessThanOrEqual(other.rate);
  expect(one.drawnRate).toBeLessThanOrEqual(other.drawnRate);
  expect(one.retentionDays ?? Infinity).toBeLessThanOrEqual(other.retentionDays ?? Infinity);
  expect(one.retentionMonths ?? Infinity).toBeLessThanOrEqual(other.retentionMonths ?? Infinity);
  if (other.onRefusal === 'end-call') expect(one.onRefusal).toBe('end-call');
  if (other.promptInsideRecording) expect(one.promptInsideRecording).toBe(true);
  expect(one.notice).toEqual(expect.arrayContaining(other.notice));
  expect(one.gates.map((each) => each.gate)).toEqual(
    expect.arrayContaining(other.gates.map((each) => each.gate)),
  );
  if (other.blocked.length > 0) expect(one.blocked.length).toBeGreaterThan(0);
}

describe('how laws combine, whatever they ask', () => {
  const base = [pack(), staff];

  test('a law more never loosens anything', () => {
    fc.assert(
      fc.property(packsOfDifferentNames, anyPack, (packs, more) => {
        const before = [...base, ...packs.filter((each) => each.pack !== more.pack)];
        const without = constrain(campaign(), ofCampaign, book(before));
        asksAsMuch(constrain(campaign(), ofCampaign, book([...before, more])), without);
      }),
    );
  });

  test('the order of the packs does not matter', () => {
    const shuffled = packsOfDifferentNames.chain((packs) =>
      fc.tuple(fc.constant(packs), fc.shuffledSubarray(packs, { minLength: packs.length })),
    );
    fc.assert(
      fc.property(shuffled, ([packs, other]) => {
        expect(constrain(campaign(), ofCampaign, book([...other, ...base]))).toEqual(
          constrain(campaign(), ofCampaign, book([...base, ...packs])),
        );
      }),
    );
  });

  test('what a union asks is the strictest of what its parts ask, and one law twice asks no more', () => {
    const asked = (packs: readonly LawPack[]): Asked =>
      packs.map((each) => askedBy(each, 'inbound')).reduce(strictest, nothingAsked);
    fc.assert(
      fc.property(packsOfDifferentNames, packsOfDifferentNames, (one, other) => {
        expect(asked([...one, ...other])).toEqual(strictest(asked(one), asked(other)));
        expect(strictest(asked(one), asked(other))).toEqual(strictest(asked(other), asked(one)));
        expect(strictest(asked(one), asked(one))).toEqual(asked(one));
      }),
    );
  });

  test('every value is explained by the law that gave it', () => {
    fc.assert(
      fc.property(packsOfDifferentNames, (packs) => {
        const all = [...base, ...packs];
        const constraint = constrain(campaign(), ofCampaign, book(all));
        const by = (value: string): LawPack | undefined =>
          all.find(
            (each) => packId(each) === constraint.because.find((reason) => reason.value === value)?.pack,
          );
        if (constraint.blocked.length === 0) {
          expect(by('mode')?.mode).toBe(constraint.mode);
          expect(by('rate')?.rate_cap ?? 0.3).toBe(constraint.rate);
        }
        expect(by('retentionDays')?.keep_max_days ?? 183).toBe(constraint.retentionDays);
        expect(by('retentionMonths')?.keep_max_months).toBe(constraint.retentionMonths);
      }),
    );
  });
});
