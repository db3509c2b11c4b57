import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ConfigInvalid } from '../../../config/load.ts';
import { constrain } from '../../../agent/law/constrain.ts';
import { loadLaw, switchedOffPacks, type LawBook } from '../../../agent/law/load.ts';
import { lapsesOn, packId, reviewOf, type LawPack } from '../../../agent/law/packs.ts';
import { packTable } from '../../../agent/law/table.ts';
import { campaign, today } from './campaign-for-tests.ts';

let law: LawBook;
beforeAll(async () => {
  law = await loadLaw();
});

const covered = [
  'FR',
  'BE',
  'ES',
  'PT',
  'IT',
  'DE',
  'CH',
  'GB',
  'IE',
  'NL',
  'RO',
  'PL',
  'MA',
  'TN',
  'SN',
  'MU',
  'MG',
];
const valueKeys = [
  'mode',
  'rate_cap',
  'keep_max_days',
  'keep_max_months',
  'keep_min_days',
  'keep_min_months',
  'keep_after_signature_months',
  'prompt_in_recording',
] as const;

describe('the packs that ship', () => {
  test.each([...covered, 'US', 'CA'])('%s protects outside parties and staff', (country) => {
    const here = law.packs.filter(({ jurisdictions }) => jurisdictions.includes(country));
    expect(new Set(here.map(({ side }) => side))).toEqual(new Set(['consumer', 'employee']));
  });

  test('every all-party state is one', () => {
    const states = 'CA DE FL IL MD MA NV NH PA WA CT MI OR'.split(' ');
    for (const state of states) {
      const asked = constrain(
        campaign({ market: `US-${state}`, controllerSeat: 'FR' }),
        { outside: [], today },
        law,
      );
      expect([state, asked.mode]).toEqual([state, 'consent']);
    }
  });

  test('every value that a pack gives has its source, and what is weak or missing is switched off', () => {
    const basis = (pack: LawPack, value: string): string[] =>
      pack.sources.filter(({ values }) => values.includes(value)).map(({ confidence }) => confidence);
    for (const pack of law.packs) {
      for (const key of valueKeys) {
        if (pack[key] === undefined || pack[key] === false) continue;
        const confidences = basis(pack, key);
        expect([pack.pack, key, confidences.length > 0]).toEqual([pack.pack, key, true]);
        const weak = confidences.every((each) => each === 'weak' || each === 'not-found');
        if (weak) expect([pack.pack, key, pack.status]).toEqual([pack.pack, key, 'off']);
      }
      for (const key of ['notice', 'gates', 'gates_outbound', 'forbid'] as const) {
        if (pack[key].length > 0)
          expect([pack.pack, key, basis(pack, key).length > 0]).toEqual([pack.pack, key, true]);
      }
      const named = pack.sources.flatMap(({ values }) => values);
      const unknown = named.filter((value) => !(value in pack) && value !== 'keep_max');
      expect([pack.pack, unknown.filter((value) => !pack.counsel.includes(value as 'rate_cap'))]).toEqual([
        pack.pack,
        [],
      ]);
    }
  });

  test('none claims a signature that it does not have, and each is looked at again after it was written', () => {
    for (const pack of law.packs) {
      expect(pack.signed_by).toBe('unsigned');
      expect(pack.review_by > pack.as_of).toBe(true);
    }
  });

  test("the operators' page shows them as they are", async () => {
    const page = await readFile(new URL('../../../config/law/README.md', import.meta.url), 'utf8');
    expect(page).toContain(packTable(law.packs));
  });

  test('the loader says which are switched off', () => {
    expect(switchedOffPacks(law)).toContain(
      'DE-consumer-quality@2026-11-23 is switched off until counsel gives keep_max',
    );
    expect(switchedOffPacks(law)).toContain(
      'MA-employee@2026-11-23 ships switched off: its values are too weak to be relied on',
    );
    expect(switchedOffPacks(law)).toHaveLength(11);
  });

  test('a review goes from current to due to lapsed by the clock that it is given', () => {
    for (const pack of [...law.packs, law.transfers]) {
      expect(reviewOf(pack, pack.review_by, 30)).toBe('current');
      expect(reviewOf(pack, lapsesOn(pack.review_by, 1), 30)).toBe('due');
      expect(reviewOf(pack, lapsesOn(pack.review_by, 30), 30)).toBe('due');
      expect(reviewOf(pack, lapsesOn(pack.review_by, 31), 30)).toBe('lapsed');
    }
  });
});

describe("a site's own law", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tacet-law-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function withOverlay(text: string): Promise<LawBook> {
    const overrides = join(directory, 'law.yaml');
    await writeFile(overrides, text);
    return loadLaw({ overrides });
  }

  async function problems(text: string): Promise<readonly string[]> {
    try {
      await withOverlay(text);
      return [];
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigInvalid);
      return (error as ConfigInvalid).problems;
    }
  }

  const opinion = 'as_of: 2026-12-01, review_by: 2027-06-01, signed_by: RA Beispiel, reference: opinion 12';

  test('fills in what counsel had to give, and the pack carries the date of the opinion', async () => {
    const german = campaign({ market: 'DE', controllerSeat: 'FR' });
    const book = await withOverlay(
      `overrides: [{ pack: DE-consumer-quality, ${opinion}, keep_max_days: 90 }]`,
    );
    const constraint = constrain(german, { outside: [], today: '2026-12-02' }, book);
    expect(constraint).toMatchObject({ mode: 'consent', rate: 0.3, retentionDays: 90, blocked: [] });
    expect(constraint.packs).toContain('DE-consumer-quality@2026-11-23+2026-12-01');
    const pack = book.packs.find((each) => each.pack === 'DE-consumer-quality')!;
    expect(pack).toMatchObject({ signed_by: 'RA Beispiel', review_by: '2027-06-01' });
    expect(pack.sources.at(-1)).toMatchObject({ source: 'opinion 12' });
  });

  test('switches on what ships switched off, with every value that is missing', async () => {
    const half = await withOverlay(`overrides: [{ pack: MA-employee, ${opinion}, status: on }]`);
    expect(switchedOffPacks(half).find((why) => why.startsWith('MA-employee'))).toBe(
      'MA-employee@2026-11-23+2026-12-01 is switched off until counsel gives rate_cap',
    );
    const whole = await withOverlay(
      `overrides: [{ pack: MA-employee, ${opinion}, status: on, rate_cap: 0.2 }]`,
    );
    expect(switchedOffPacks(whole).some((why) => why.startsWith('MA-employee'))).toBe(false);
  });

  test('French consumers and agents in Rabat, once counsel has spoken and the clauses are signed', async () => {
    const book = await withOverlay(`overrides:
      - { pack: MA-employee, ${opinion}, status: on, rate_cap: 0.2 }
      - { pack: MA-consumer-quality, ${opinion}, keep_max_days: 60 }`);
    const transfers = [
      { to: 'MA', tool: 'scc-2021-914', module: 2, signedOn: '2023-05-02', assessment: 'TIA-12' },
    ];
    const rabat = campaign({ agentsSite: 'MA', transfers });
    expect(constrain(rabat, { outside: ['+33612345678'], today: '2026-12-02' }, book)).toMatchObject({
      mode: 'consent',
      rate: 0.2,
      retentionDays: 60,
      retentionMonths: 6,
      blocked: [],
    });
  });

  test.each([
    ['mode: object', 'mode object asks less than PT-consumer-quality (consent)'],
    ['keep_max_days: 60', 'keep_max_days 60 asks less than PT-consumer-quality (30)'],
  ])('loosens nothing: %s', async (value, why) => {
    expect(await problems(`overrides: [{ pack: PT-consumer-quality, ${opinion}, ${value} }]`)).toEqual([
      `overrides[0]: ${why}: an overlay may only fill in and tighten`,
    ]);
  });

  test('keeps a legal minimum, and tightens', async () => {
    expect(
      await problems(`overrides: [{ pack: FR-investment, ${opinion}, keep_min_months: 12 }]`),
    ).toHaveLength(1);
    const book = await withOverlay(
      `overrides: [{ pack: FR-consumer-quality, ${opinion}, keep_max_days: 30, rate_cap: 0.1 }]`,
    );
    expect(constrain(campaign(), { outside: [], today }, book)).toMatchObject({
      rate: 0.1,
      retentionDays: 30,
    });
  });

  test('adds packs of places that none ships for, and no pack twice', async () => {
    const swedish = `packs:
      - { pack: SE-consumer-quality, jurisdictions: [SE], side: consumer, classes: [quality], as_of: 2026-12-01,
          review_by: 2027-06-01, signed_by: advokat, mode: object,
          sources: [{ fact: told, source: opinion 3, confidence: known }] }`;
    const book = await withOverlay(swedish);
    const stored = campaign({ storagePlaces: ['SE'] });
    expect(constrain(stored, { outside: [], today }, book)).toMatchObject({ blocked: [], rate: 0.3 });
    expect(book.packs.map(packId)).toContain('SE-consumer-quality@2026-12-01');
    expect(await problems(swedish.replaceAll('SE-consumer', 'FR-consumer'))).toEqual([
      'the pack "FR-consumer-quality" is given twice',
    ]);
  });

  test('names a pack that is not there', async () => {
    expect(await problems(`overrides: [{ pack: XX-consumer, ${opinion} }]`)).toEqual([
      'overrides[0].pack: there is no pack "XX-consumer"',
    ]);
  });
});
