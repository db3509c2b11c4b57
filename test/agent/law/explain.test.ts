import { beforeAll, expect, test } from 'vitest';
import { explain, renderExplanation } from '../../../agent/law/explain.ts';
import { loadLaw, type LawBook } from '../../../agent/law/load.ts';
import type { Campaign } from '../../../config/schema.ts';
import { campaign, insurance } from './campaign-for-tests.ts';

const now = new Date('2026-11-26T10:00:00Z');
let law: LawBook;
beforeAll(async () => {
  law = await loadLaw();
});

function told(of: Campaign, outside?: string): string {
  return renderExplanation(of, explain(of, { outside, now }, law));
}

test('a French call, as a person reads it', () => {
  const mandate = { registerEntry: 'R-12', dpia: 'DPIA-7', staffConsultedOn: '2026-09-01' };
  expect(told(campaign({ mandate }), '+33612345678')).toBe(`\
support: inbound, class quality, for training, controller Exemple
outside party +33612345678: FR

laws that touch it
  FR-consumer-quality@2026-11-23  (market FR, number FR, controller's seat FR, storage FR, listening FR; not signed off)
  FR-employee@2026-11-23  (agents' site FR; not signed off)

what they ask
  mode "object" is the strictest, by FR-consumer-quality@2026-11-23
    CNIL doctrine; GDPR Art. 6(1)(f), 13, 21 [page]
  at most 0.3 of the conversations, by campaign
  kept 183 days at most, by campaign
  kept 6 calendar months at most, by FR-consumer-quality@2026-11-23
    CNIL doctrine (formerly NS-57, deliberation 2014-474) [page]
  the announcement tells controller, how-to-refuse, is-recorded, purpose, where-more
  never card-data, discipline, emotion-inference, hold-capture, pre-roll, queue-capture, screen-coupling

gates
  closed  agents-notice  (FR-employee@2026-11-23): give mandate.agentsNoticeOn
  open    dpia  (FR-consumer-quality@2026-11-23): DPIA-7
  open    register-entry  (FR-consumer-quality@2026-11-23): R-12
  open    staff-consulted  (FR-employee@2026-11-23): 2026-09-01

places
  FR  inside the EEA

verdict
  recorded: at most 30 % of the conversations, mode object, a refusal lets the call go on unrecorded
  kept until 2027-05-26`);
});

test('a German caller on a French line: which law stops it, and where to mend it', () => {
  const text = told(campaign(), '+4930123456');
  expect(text).toContain('outside party +4930123456: DE\n');
  expect(text).toContain('  DE-consumer-quality@2026-11-23  (number DE; not signed off)\n');
  expect(text).toContain('  mode "consent" is the strictest, by DE-consumer-quality@2026-11-23\n');
  expect(text.split('\n\n').at(-1)).toBe(`\
verdict
  nothing is recorded, the call goes on:
  - DE-consumer-quality@2026-11-23 is switched off until counsel gives keep_max (law.overrides)`);
});

test('a mandated call: a refusal ends it, and a contract keeps it longer', () => {
  expect(told(campaign(insurance)).split('\n\n').at(-1)).toBe(`\
verdict
  recorded: at most 100 % of the conversations, mode object, a refusal ends the call
  kept until 2026-12-27
  if a contract is concluded: 24 calendar months from its signature`);
});

test('a campaign on demand says that it is never drawn', () => {
  const complaint = campaign({ class: 'complaint', purpose: 'complaint', trigger: 'on-demand' });
  expect(told(complaint)).toContain('  recorded: on demand only, never drawn, mode object,');
});

test('a place that is refused says why', () => {
  const transfers = [{ to: 'US', tool: 'privacy-shield' }];
  const shield = campaign({ storagePlaces: ['US'], transfers });
  expect(told(shield)).toContain(
    '  US  refused: Privacy Shield is refused: invalid since 16 July 2020 (CJEU C-311/18, Schrems II)\n',
  );
  expect(told(shield)).toContain('verdict\n  nothing is recorded, the call goes on:\n');
});
