/** Law packs: what one law asks, as dated data with its sources, so that a change of law is a change of a file. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ConfigInvalid, loadYaml } from '../../config/load.ts';
import { consentMode, recordingClass } from '../../config/schema.ts';

const date = z.string().regex(/^\d{4}-\d{2}-\d{2}$/u, 'a date, e.g. 2026-11-23');

const packSchema = z.strictObject({
  pack: z.string().regex(/^[A-Z]{2}-[a-z-]+$/u, 'country and subject, e.g. "FR-consumer-quality"'),
  country: z.string().regex(/^[A-Z]{2}$/u, 'an ISO 3166 country code, e.g. "FR"'),
  party: z.enum(['consumer', 'employee']).describe('whom it protects: the outside party, or the staff'),
  classes: z.array(recordingClass).min(1),
  as_of: date.describe('state of the law that it describes; also its version'),
  review_by: date,
  signed_by: z.string().min(1).describe('counsel who signed it off, or "unsigned"'),
  mode: consentMode,
  rate_cap: z.number().min(0).max(1).optional(),
  systematic: z.enum(['allowed', 'needs-legal-text']).default('allowed').describe('recording every call'),
  keep_max_months: z.int().min(1).optional().describe('calendar months'),
  keep_max_days: z.int().min(1).optional(),
  keep_min_days: z.int().min(1).optional(),
  gates: z.array(z.string()).default([]).describe('what must have been done before a campaign starts'),
  sources: z
    .array(
      z.strictObject({
        fact: z.string().min(1),
        source: z.string().min(1),
        confidence: z.enum(['page', 'known', 'probable', 'weak']),
      }),
    )
    .min(1),
});

const packFileSchema = z.strictObject({ packs: z.array(packSchema).min(1) });

export type LawPack = z.infer<typeof packSchema>;

/** How ledger, recordings and explanations name a pack: `FR-consumer-quality@2026-11-23`. */
export function packId(pack: LawPack): string {
  return `${pack.pack}@${pack.as_of}`;
}

/**
 * Reads all packs of a folder.
 *
 * @param directory by default those that come with Tacet, `config/law`
 * @throws ConfigInvalid
 */
export async function loadLawPacks(
  directory = fileURLToPath(new URL('../../config/law', import.meta.url)),
): Promise<LawPack[]> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.yaml')).toSorted();
  const packs: LawPack[] = [];
  for (const name of files) {
    const file = join(directory, name);
    for (const pack of (await loadYaml(file, packFileSchema)).packs) {
      if (packs.some((other) => other.pack === pack.pack)) {
        throw new ConfigInvalid(file, [`the pack "${pack.pack}" is given twice`]);
      }
      packs.push(pack);
    }
  }
  return packs;
}
