/** Law packs: what one law asks, as dated data with its sources, so that a change of law is a change of a file. */
import { z } from 'zod';
import { consentMode, duty, recordingClass } from '../../config/schema/campaign.ts';
import { isoDate, place } from '../../config/schema/values.ts';

/** What must have been done before a campaign starts; `gates.ts` says which key of a campaign's mandate shows it. */
export const gate = z.enum([
  'register-entry',
  'dpia',
  'instruction',
  'staff-consulted',
  'agents-notice',
  'agents-consent',
  'union-agreement',
  'authority-declaration',
  'authority-transfer',
  'prior-opt-in',
  'no-other-proof',
  'recorded-persons',
]);
export type Gate = z.infer<typeof gate>;

/** What the announcement must tell. */
const noticeElement = z.enum([
  'controller',
  'is-recorded',
  'purpose',
  'how-to-refuse',
  'where-more',
  'question',
  'storage-period',
  'agent-country',
  'eu-operator-choice',
  'recorded-by-law',
  'kept-two-years-if-contract',
  'right-to-copy',
  'refusal-ends-call',
]);
export type NoticeElement = z.infer<typeof noticeElement>;

/** What may never be done with a recording of this class. */
const forbiddenThing = z.enum([
  'pre-roll',
  'hold-capture',
  'queue-capture',
  'card-data',
  'screen-coupling',
  'automatic-start',
  'discipline',
  'emotion-inference',
]);
export type ForbiddenThing = z.infer<typeof forbiddenThing>;

/** How a pack comes to touch a call: as the law of one of these. */
const reach = z.enum(['market', 'number', 'seat', 'place', 'site']);
export type Reach = z.infer<typeof reach>;

/** Values that a pack can leave to counsel: it is switched off until a site gives them. */
const leftToCounsel = z.enum(['mode', 'rate_cap', 'keep_max']);
export type LeftToCounsel = z.infer<typeof leftToCounsel>;

const confidence = z
  .enum(['page', 'secondary', 'known', 'probable', 'weak', 'not-found'])
  .describe('page: a page of the source was read; known and probable: general knowledge; weak: for counsel');

const values = {
  mode: consentMode,
  rate_cap: z.number().min(0).max(1).optional(),
  keep_max_months: z.int().min(1).optional().describe('calendar months'),
  keep_max_days: z.int().min(1).optional(),
  keep_min_months: z.int().min(1).optional().describe('calendar months'),
  keep_min_days: z.int().min(1).optional(),
};

export const packSchema = z.strictObject({
  pack: z.string().regex(/^[A-Z]{2}-[A-Za-z-]+$/u, 'country and subject, e.g. "FR-consumer-quality"'),
  jurisdictions: z.array(place).min(1),
  parts: z.boolean().default(false).describe('also the law of every state or province of these countries'),
  side: z.enum(['consumer', 'employee']).describe('whom it protects: the outside party, or the staff'),
  reach: z.array(reach).min(1).optional(),
  classes: z.array(recordingClass).min(1),
  duty: duty.optional().describe('the duty to record that it is the text of'),
  as_of: isoDate.describe('state of the law that it describes; also its version'),
  review_by: isoDate,
  signed_by: z.string().min(1).describe('counsel who signed it off, or "unsigned"'),
  status: z.enum(['on', 'off']).default('on').describe('off: its values are too weak to be relied on'),
  counsel: z.array(leftToCounsel).default([]).describe('values that only counsel can give'),
  ...values,
  systematic: z.enum(['allowed', 'needs-legal-text']).default('allowed').describe('recording every call'),
  on_refusal: z.enum(['continue-unrecorded', 'end-call']).default('continue-unrecorded'),
  keep_after_signature_months: z.int().min(1).optional().describe('from a contract concluded in the call'),
  notice: z.array(noticeElement).default([]),
  prompt_in_recording: z.boolean().default(false).describe('the recording begins with our own prompt'),
  gates: z.array(gate).default([]).describe('what must have been done before a campaign starts'),
  gates_outbound: z.array(gate).default([]).describe('the same, for calls that the campaign makes'),
  forbid: z.array(forbiddenThing).default([]),
  regime: z.literal('gdpr').optional().describe('whose rules for transfers hold'),
  sources: z
    .array(
      z.strictObject({
        fact: z.string().min(1),
        source: z.string().min(1),
        confidence,
        values: z.array(z.string()).default([]).describe('keys of this pack that rest on it'),
      }),
    )
    .min(1),
});

export type LawPack = z.infer<typeof packSchema> & {
  /** Date of the site's overlay, when there is one. */
  overlay?: string;
};

export const packFileSchema = z.strictObject({ packs: z.array(packSchema).min(1) });

/** What a site's counsel may say of a shipped pack: fill in, tighten, sign, set a new review date. */
const overrideSchema = z.strictObject({
  pack: z.string().min(1).describe('name of a pack that ships'),
  as_of: isoDate.describe("date of counsel's opinion"),
  review_by: isoDate,
  signed_by: z.string().min(1),
  reference: z.string().min(1).describe('where the opinion is kept'),
  status: z.literal('on').optional(),
  ...values,
  mode: consentMode.optional(),
});
export type PackOverride = z.infer<typeof overrideSchema>;

export const overridesFileSchema = z.strictObject({
  overrides: z.array(overrideSchema).default([]),
  packs: z.array(packSchema).default([]).describe('packs of the site itself, for places that none ships for'),
});

/** How ledger, recordings and explanations name a pack: `FR-consumer-quality@2026-11-23`, `...+2027-01-15` with an overlay. */
export function packId(pack: Pick<LawPack, 'pack' | 'as_of' | 'overlay'>): string {
  return `${pack.pack}@${pack.as_of}${pack.overlay === undefined ? '' : `+${pack.overlay}`}`;
}

/** Why a pack cannot be relied on yet; undefined when it can. */
export function switchedOff(pack: LawPack): string | undefined {
  if (pack.status === 'off')
    return `${packId(pack)} ships switched off: its values are too weak to be relied on`;
  if (pack.counsel.length === 0) return undefined;
  return `${packId(pack)} is switched off until counsel gives ${pack.counsel.join(', ')}`;
}

export type Review = 'current' | 'due' | 'lapsed';

/**
 * Where a dated text stands in its review: past `review_by` it is due and warns; `graceDays` later it has lapsed, and
 * carries no new campaign.
 *
 * @param today ISO 8601 date
 */
export function reviewOf({ review_by }: { review_by: string }, today: string, graceDays: number): Review {
  if (today <= review_by) return 'current';
  return today <= lapsesOn(review_by, graceDays) ? 'due' : 'lapsed';
}

/** The last day of the grace. */
export function lapsesOn(reviewBy: string, graceDays: number): string {
  const date = new Date(`${reviewBy}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + graceDays);
  return date.toISOString().slice(0, 10);
}
