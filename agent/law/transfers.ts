/**
 * Transfers out of the EEA (GDPR chapter V): which places are adequate on a day, and which tools stand in for it. The
 * table is dated data, `config/law/transfers.yaml`; a place without either blocks recording, never calls.
 */
import { z } from 'zod';
import type { Transfer } from '../../config/schema/campaign.ts';
import { isoDate, place } from '../../config/schema/values.ts';

const adequacySchema = z.strictObject({
  place,
  name: z.string().min(1),
  since: isoDate,
  until: isoDate.optional().describe('the decision ends after this day unless renewed'),
  scope: z
    .enum(['all', 'commercial', 'dpf'])
    .default('all')
    .describe('commercial: organisations of that kind only; dpf: firms certified under the framework'),
  source: z.string().min(1),
  confidence: z.enum(['page', 'known', 'probable']),
});

const toolSchema = z.strictObject({
  tool: z.string().min(1),
  name: z.string().min(1),
  valid_from: isoDate.optional(),
  ended: isoDate.optional().describe('refused since, with the reason'),
  reason: z.string().optional(),
  source: z.string().min(1),
});

export const transferTableSchema = z.strictObject({
  as_of: isoDate,
  review_by: isoDate,
  signed_by: z.string().min(1),
  eea: z.array(place).min(1),
  dpf_check_days: z.int().min(1).describe('how long a look at the list of certified firms is good for'),
  adequate: z.array(adequacySchema).min(1),
  tools: z.array(toolSchema).min(1),
});
export type TransferTable = z.infer<typeof transferTableSchema>;

/** Whether recordings may be at a place, and by what. */
export type TransferVerdict =
  { place: string; allowed: true; by: string } | { place: string; allowed: false; why: string };

/** How ledger and explanations name the table. */
export function tableId(table: Pick<TransferTable, 'as_of'>): string {
  return `EU-transfers@${table.as_of}`;
}

/**
 * @param place where recordings are stored or heard
 * @param tools what the campaign declares for its places
 * @param today ISO 8601 date: decisions and looks at lists expire
 */
export function transferTo(
  place: string,
  tools: readonly Transfer[],
  table: TransferTable,
  today: string,
): TransferVerdict {
  const country = place.slice(0, 2);
  if (table.eea.includes(country)) return { place, allowed: true, by: 'inside the EEA' };
  const adequacy = table.adequate.find((each) => each.place === country && each.since <= today);
  const inForce = adequacy !== undefined && (adequacy.until === undefined || today <= adequacy.until);
  if (inForce && adequacy.scope === 'all') {
    const until = adequacy.until === undefined ? '' : ` until ${adequacy.until}`;
    return { place, allowed: true, by: `adequacy decision${until} (${adequacy.source})` };
  }
  const declared = tools.filter(({ to }) => to === place || to === country);
  if (declared.length === 0) {
    return { place, allowed: false, why: `${whyNotAdequate(adequacy, inForce)}, and no tool is declared` };
  }
  const verdicts = declared.map((each) => verdictOf(each, inForce ? adequacy : undefined, table, today));
  const good = verdicts.find((verdict) => verdict.ok);
  if (good !== undefined) return { place, allowed: true, by: good.text };
  return { place, allowed: false, why: verdicts.map(({ text }) => text).join('; ') };
}

type Adequacy = TransferTable['adequate'][number];
interface ToolVerdict {
  ok: boolean;
  text: string;
}

function whyNotAdequate(adequacy: Adequacy | undefined, inForce: boolean): string {
  if (adequacy === undefined) return 'no adequacy decision covers it';
  if (!inForce) return `its adequacy decision ended on ${adequacy.until}`;
  return adequacy.scope === 'dpf'
    ? 'its adequacy decision covers firms certified under the Data Privacy Framework only'
    : 'its adequacy decision covers commercial organisations only';
}

function verdictOf(
  declared: Transfer,
  adequacy: Adequacy | undefined,
  table: TransferTable,
  today: string,
): ToolVerdict {
  const known = table.tools.find(({ tool }) => tool === declared.tool);
  if (known === undefined) {
    return refused(`"${declared.tool}" is no tool of GDPR chapter V; known: ${valid(table).join(', ')}`);
  }
  if (known.ended !== undefined) {
    return refused(`${known.name} is refused: ${known.reason ?? 'it is no longer valid'} (${known.source})`);
  }
  switch (declared.tool) {
    case 'scc-2021-914':
      return clausesVerdict(declared, known, today);
    case 'dpf':
      return dpfVerdict(declared, adequacy, table, today);
    case 'adequacy':
      return partialVerdict(declared, adequacy);
    default:
      return withReferences(declared, known.name);
  }
}

function clausesVerdict(
  { module, signedOn, assessment }: Transfer,
  tool: TransferTable['tools'][number],
  today: string,
): ToolVerdict {
  if (module === undefined || signedOn === undefined) return refused(`${tool.name} need module and signedOn`);
  if (tool.valid_from !== undefined && signedOn < tool.valid_from) {
    return refused(`clauses signed on ${signedOn} are older than ${tool.name} (${tool.valid_from})`);
  }
  if (signedOn > today) return refused(`the clauses are to be signed on ${signedOn} only`);
  if (assessment === undefined) return refused(`${tool.name} need a transfer impact assessment`);
  return { ok: true, text: `${tool.name}, module ${module}, of ${signedOn}, assessment ${assessment}` };
}

function dpfVerdict(
  { name, checkedOn, fallback, to }: Transfer,
  adequacy: Adequacy | undefined,
  table: TransferTable,
  today: string,
): ToolVerdict {
  if (adequacy?.scope !== 'dpf') return refused(`the Data Privacy Framework does not cover ${to}`);
  if (name === undefined || checkedOn === undefined || fallback === undefined) {
    return refused('the Data Privacy Framework needs name, checkedOn and fallback clauses');
  }
  const age = (Date.parse(today) - Date.parse(checkedOn)) / 86_400_000;
  if (age < 0) return refused(`the list of certified firms is to be looked at on ${checkedOn} only`);
  if (age > table.dpf_check_days) {
    return refused(
      `the list of certified firms was looked at on ${checkedOn}, over ${table.dpf_check_days} days ago`,
    );
  }
  const since = table.tools.find(({ tool }) => tool === 'scc-2021-914')?.valid_from;
  if (since !== undefined && fallback.signedOn < since) {
    return refused(`the fallback clauses of ${fallback.signedOn} are older than the clauses 2021/914`);
  }
  return { ok: true, text: `Data Privacy Framework: "${name}", checked on ${checkedOn}` };
}

function partialVerdict({ reference, to }: Transfer, adequacy: Adequacy | undefined): ToolVerdict {
  if (adequacy?.scope !== 'commercial') return refused(`no adequacy decision covers ${to} in part`);
  if (reference === undefined) return refused('a partial adequacy needs the recipient in reference');
  return {
    ok: true,
    text: `adequacy decision for commercial organisations: ${reference} (${adequacy.source})`,
  };
}

function withReferences({ reference, assessment }: Transfer, name: string): ToolVerdict {
  if (reference === undefined || assessment === undefined)
    return refused(`${name} need reference and assessment`);
  return { ok: true, text: `${name} ${reference}, assessment ${assessment}` };
}

function refused(text: string): ToolVerdict {
  return { ok: false, text };
}

function valid({ tools }: TransferTable): string[] {
  return tools.filter(({ ended }) => ended === undefined).map(({ tool }) => tool);
}
