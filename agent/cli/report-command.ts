/** `tacet report agents`: each agent's share of recorded conversations over a period, and who has left the declared band. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../config/load.ts';
import { percent } from '../law/explain.ts';
import { openPseudonyms } from '../ledger/keys.ts';
import type { LedgerEntry } from '../ledger/ledger.ts';
import { readLedger } from '../ledger/read.ts';
import { agentShares, type AgentShare } from './agent-shares.ts';
import { configPath } from './options.ts';

const usage =
  'usage: tacet report agents [--campaign X] [--from YYYY-MM-DD] [--to YYYY-MM-DD] [--agent ID]... [--ledger DIR]... [--json]   [--config FILE]';

/** @returns the exit status: 1 when an agent has left the band of a campaign */
export async function report(words: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      campaign: { type: 'string' },
      from: { type: 'string' },
      to: { type: 'string' },
      agent: { type: 'string', multiple: true },
      ledger: { type: 'string', multiple: true },
      json: { type: 'boolean' },
    },
  });
  const today = new Date().toISOString().slice(0, 10);
  const { from = `${today.slice(0, 7)}-01`, to = today } = values;
  if (positionals.join(' ') !== 'agents' || ![from, to].every((day) => /^\d{4}-\d{2}-\d{2}$/u.test(day))) {
    console.error(usage);
    return 2;
  }
  const { config, campaigns, directory } = await loadConfig(configPath(values.config));
  const own = resolve(directory, config.dataDir, 'ledger');
  const entries: LedgerEntry[] = [];
  for (const ledger of values.ledger ?? [own]) {
    for await (const entry of readLedger(ledger)) entries.push(entry);
  }
  const bands = new Map(
    campaigns.flatMap(({ name, agentShare }) => (agentShare === undefined ? [] : [[name, agentShare]])),
  );
  const named = await namesOf(values.agent ?? [], own);
  const rows = agentShares(entries, { from, to, campaign: values.campaign, bands })
    .filter(({ agent }) => named.size === 0 || named.has(agent))
    .map((row) => ({ ...row, id: named.get(row.agent) }));
  console.log(values.json === true ? JSON.stringify(rows) : render(rows, { from, to }));
  return rows.some(({ verdict }) => verdict === 'above' || verdict === 'below') ? 1 : 0;
}

/** Ids that somebody asks about, by the pseudonyms under which the ledger has them: there is no way back. */
async function namesOf(ids: readonly string[], ledger: string): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const pseudonym = await openPseudonyms(ledger);
  return new Map(ids.map((id) => [pseudonym(id), id]));
}

function render(
  rows: readonly (AgentShare & { id: string | undefined })[],
  { from, to }: { from: string; to: string },
): string {
  if (rows.length === 0) return `${from} to ${to}: no drawn conversation of a known agent`;
  const verdicts = { within: '', 'no-band': '', above: '  ABOVE its band', below: '  BELOW its band' };
  return rows
    .map(
      ({ campaign, agent, id, conversations, recorded, share, verdict }) =>
        `${campaign}  ${id ?? agent}  ${recorded} of ${conversations} conversations, ${percent(share)}${verdicts[verdict]}`,
    )
    .join('\n');
}
