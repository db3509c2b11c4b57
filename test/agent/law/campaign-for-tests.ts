/** Campaigns, packs and books for the tests of the law: short, so that each test says what matters to it. */
import type { LawBook } from '../../../agent/law/load.ts';
import type { LawPack } from '../../../agent/law/packs.ts';
import { campaignSchema, type Campaign } from '../../../config/schema.ts';

export const today = '2026-11-26';

export function campaign(values: object = {}): Campaign {
  return campaignSchema.parse({
    name: 'support',
    direction: 'inbound',
    match: { called: ['*'] },
    purpose: 'training',
    controller: 'Exemple',
    ...values,
  });
}

export const insurance = {
  class: 'mandated',
  duty: 'insurance-cold-call',
  purpose: 'legal-obligation',
  legalBasis: 'legal-obligation',
  legalText: 'Code des assurances L112-2-2',
  rate: 1,
};

export function pack(values: Partial<LawPack> = {}): LawPack {
  return {
    pack: 'FR-made-up',
    jurisdictions: ['FR'],
    parts: false,
    side: 'consumer',
    classes: ['quality'],
    as_of: '2026-01-01',
    review_by: '2027-01-01',
    signed_by: 'counsel',
    status: 'on',
    counsel: [],
    mode: 'notice',
    systematic: 'allowed',
    on_refusal: 'continue-unrecorded',
    notice: [],
    prompt_in_recording: false,
    gates: [],
    gates_outbound: [],
    forbid: [],
    sources: [{ fact: 'made up', source: 'this test', confidence: 'weak', values: [] }],
    ...values,
  };
}

export const staff = pack({ pack: 'FR-staff', side: 'employee' });

export function book(packs: readonly LawPack[], values: Partial<LawBook> = {}): LawBook {
  return {
    packs,
    transfers: {
      as_of: '2026-01-01',
      review_by: '2027-01-01',
      signed_by: 'counsel',
      eea: ['FR'],
      dpf_check_days: 365,
      adequate: [],
      tools: [],
    },
    graceDays: 90,
    gates: 'warn',
    ...values,
  };
}
