/** `tacet audit draws`: every draw of a day taken again from the ledger and the revealed key. */
import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../config/load.ts';
import { readPublicKey } from '../ledger/keys.ts';
import type { LedgerEntry } from '../ledger/ledger.ts';
import { verifyLedgerDirectory } from '../ledger/read.ts';
import { configPath } from './options.ts';
import { auditDraws } from './draws.ts';

export interface DrawAuditOptions {
  /** One folder for each agent that draws from the same counters. */
  ledgerDirectories: readonly string[];
  /** Of the campaigns' time zones, e.g. `2026-11-26`. */
  day: string;
  /** The key that the auditor was given (PEM), for all ledgers; left out: the one that lies with each. */
  publicKeyFile?: string | undefined;
  /** Ledgers of other agents are missing. */
  partial?: boolean;
  json?: boolean;
}

export async function audit(words: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      day: { type: 'string' },
      ledger: { type: 'string', multiple: true },
      key: { type: 'string' },
      partial: { type: 'boolean' },
      json: { type: 'boolean' },
    },
  });
  if (positionals.join(' ') !== 'draws' || !/^\d{4}-\d{2}-\d{2}$/u.test(values.day ?? '')) {
    console.error(
      'usage: tacet audit draws --day YYYY-MM-DD [--ledger DIR]... [--key FILE] [--partial] [--json]',
    );
    return 2;
  }
  return auditDay(
    {
      ledgerDirectories: values.ledger ?? [await ownLedger(values.config)],
      day: values.day!,
      publicKeyFile: values.key,
      partial: values.partial ?? false,
      json: values.json ?? false,
    },
    process.stdout,
  );
}

/**
 * Prints what does not hold, a line each, and the figures.
 *
 * @param output gets whole lines
 * @returns the exit status: 0 when all draws of the day were taken again and hold, 1 when something does not hold, 3 when
 *   nothing is wrong but a key is not revealed yet
 */
export async function auditDay(
  options: DrawAuditOptions,
  output: { write: (text: string) => unknown },
): Promise<number> {
  const { ledgerDirectories, day, publicKeyFile, partial = false, json = false } = options;
  const given =
    publicKeyFile === undefined ? undefined : createPublicKey(await readFile(publicKeyFile, 'utf8'));
  const entries: LedgerEntry[] = [];
  const broken: string[] = [];
  for (const directory of ledgerDirectories) {
    const verdict = await verifyLedgerDirectory(directory, given ?? (await readPublicKey(directory)));
    for (const entry of verdict.entries) entries.push(entry);
    broken.push(...verdict.faults.map(({ line, reason }) => `${directory}: line ${line} ${reason}`));
  }
  const { draws, recomputed, notes, ...rest } = auditDraws(entries, day, { partial });
  const findings = [...broken, ...rest.findings];
  const mismatches = findings.length;
  if (json) output.write(`${JSON.stringify({ draws, recomputed, mismatches, findings, notes })}\n`);
  else {
    for (const line of [...findings, ...notes.map((note) => `note: ${note}`)]) output.write(`${line}\n`);
    output.write(`${day}: ${draws} draws, ${recomputed} recomputed, ${mismatches} mismatches\n`);
  }
  if (mismatches > 0) return 1;
  return recomputed === draws ? 0 : 3;
}

async function ownLedger(config: string | undefined): Promise<string> {
  const { config: loaded, directory } = await loadConfig(configPath(config));
  return resolve(directory, loaded.dataDir, 'ledger');
}
