import { beforeAll, describe, expect, test } from 'vitest';
import { loadLaw } from '../../../agent/law/load.ts';
import { transferTo, type TransferTable, type TransferVerdict } from '../../../agent/law/transfers.ts';
import type { Transfer } from '../../../config/schema.ts';
import { transfer } from '../../../config/schema/declaration.ts';

let table: TransferTable;
beforeAll(async () => {
  ({ transfers: table } = await loadLaw());
});

function verdict(place: string, tools: object[] = [], today = '2026-11-26'): TransferVerdict {
  const declared: Transfer[] = tools.map((tool) => transfer.parse({ to: place, ...tool }));
  return transferTo(place, declared, table, today);
}
function why(place: string, tool: object, today?: string): string | undefined {
  const given = verdict(place, [tool], today);
  return given.allowed ? undefined : given.why;
}

const clauses = { tool: 'scc-2021-914', module: 2, signedOn: '2023-05-02', assessment: 'TIA-12' };
const dpf = {
  tool: 'dpf',
  name: 'Vendor Inc.',
  checkedOn: '2026-10-01',
  fallback: { module: 2, signedOn: '2023-08-01' },
};

describe('places', () => {
  test.each(['FR', 'NO', 'IS', 'CH', 'JP', 'KR', 'BR', 'NZ', 'GB', 'UY'])('%s needs no tool', (place) => {
    expect(verdict(place).allowed).toBe(true);
  });

  test.each(['MA', 'TN', 'SN', 'MU', 'MG', 'IN', 'TR', 'US', 'CA'])('%s is refused without one', (place) => {
    expect(verdict(place).allowed).toBe(false);
  });

  test('adequacy has its days: the United Kingdom until the end of 2031, Brazil since January 2026', () => {
    expect(verdict('GB', [], '2031-12-27').allowed).toBe(true);
    expect(verdict('GB', [], '2031-12-28')).toEqual({
      place: 'GB',
      allowed: false,
      why: 'its adequacy decision ended on 2031-12-27, and no tool is declared',
    });
    expect(verdict('BR', [], '2026-01-26').allowed).toBe(false);
  });

  test('adequacy in part names its recipient', () => {
    expect(verdict('CA')).toMatchObject({
      why: 'its adequacy decision covers commercial organisations only, and no tool is declared',
    });
    expect(verdict('CA', [{ tool: 'adequacy', reference: 'Vendor Ltd' }]).allowed).toBe(true);
    expect(why('CA', { tool: 'adequacy' })).toBe('a partial adequacy needs the recipient in reference');
    expect(why('MA', { tool: 'adequacy', reference: 'x' })).toBe('no adequacy decision covers MA in part');
  });
});

describe('tools', () => {
  test.each([
    ['safe-harbor', 'Safe Harbor is refused: invalid since 6 October 2015 (CJEU C-362/14, Schrems)'],
    ['privacy-shield', 'Privacy Shield is refused: invalid since 16 July 2020 (CJEU C-311/18, Schrems II)'],
    ['scc-2001', expect.stringContaining('2001/497/EC is refused: repealed')],
    ['scc-2004', expect.stringContaining('2004/915/EC is refused: repealed')],
    ['scc-2010', expect.stringContaining('2010/87/EU is refused: repealed')],
    ['handshake', '"handshake" is no tool of GDPR chapter V; known: scc-2021-914, bcr, dpf, adequacy'],
  ])('%s is refused by name, with the reason', (tool, reason) => {
    expect(why('US', { tool })).toEqual(reason);
  });

  test('the clauses of 2021 need module, date and assessment', () => {
    expect(verdict('MA', [clauses])).toMatchObject({
      by: 'the clauses of Decision (EU) 2021/914, module 2, of 2023-05-02, assessment TIA-12',
    });
    expect(why('MA', { ...clauses, module: undefined })).toMatch(/need module and signedOn/u);
    expect(why('MA', { ...clauses, assessment: undefined })).toMatch(/need a transfer impact assessment/u);
    expect(why('MA', { ...clauses, signedOn: '2020-01-01' })).toMatch(
      /older than the clauses .* \(2021-06-27\)/u,
    );
    expect(why('MA', { ...clauses, signedOn: '2026-12-01' })).toMatch(/to be signed on 2026-12-01/u);
  });

  test('binding corporate rules need their approval and an assessment', () => {
    expect(verdict('IN', [{ tool: 'bcr', reference: 'BCR-9', assessment: 'TIA-3' }]).allowed).toBe(true);
    expect(why('IN', { tool: 'bcr' })).toBe('binding corporate rules need reference and assessment');
  });

  test('the Data Privacy Framework is for certified firms of the US, looked up within a year, with clauses behind it', () => {
    expect(verdict('US', [dpf]).allowed).toBe(true);
    expect(verdict('US-CA', [dpf]).allowed).toBe(true);
    expect(why('US', { ...dpf, fallback: undefined })).toMatch(/needs name, checkedOn and fallback/u);
    expect(why('US', { ...dpf, checkedOn: '2025-10-01' })).toMatch(/over 365 days ago/u);
    expect(why('US', { ...dpf, checkedOn: '2026-12-24' })).toMatch(/only$/u);
    expect(why('US', { ...dpf, fallback: { module: 2, signedOn: '2019-01-01' } })).toMatch(
      /fallback clauses/u,
    );
    expect(why('MA', dpf)).toBe('the Data Privacy Framework does not cover MA');
  });

  test('one good tool among bad ones is enough, and all bad ones are named', () => {
    expect(verdict('US', [{ tool: 'safe-harbor' }, clauses]).allowed).toBe(true);
    const both = verdict('US', [{ tool: 'safe-harbor' }, { tool: 'privacy-shield' }]);
    expect(both).toMatchObject({ why: expect.stringMatching(/Safe Harbor .*; Privacy Shield/u) as unknown });
  });
});
