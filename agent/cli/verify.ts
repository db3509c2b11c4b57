/** Checks a ledger and the store that belongs to it, alone: needs no agent, only the files and the public key. */
import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { readPublicKey } from '../ledger/keys.ts';
import { verifyLedgerDirectory } from '../ledger/read.ts';
import { audit, type StoreEvidence } from './audit.ts';

export interface VerifyOptions {
  ledgerDirectory: string;
  /** What the store has; left out: only the ledger is checked. */
  store?: StoreEvidence;
  /** The key that the auditor was given (PEM). Left out: the one that lies with the ledger, which a forger could replace. */
  publicKeyFile?: string;
  /** One JSON object instead of lines. */
  json?: boolean;
  now?: Date;
}

/**
 * Prints what is wrong, a line each, and a verdict.
 *
 * @param output gets whole lines
 * @returns the exit status: 0 when everything holds, 1 when something does not
 */
export async function verify(
  options: VerifyOptions,
  output: { write: (text: string) => unknown },
): Promise<number> {
  const { ledgerDirectory, store, publicKeyFile, json = false, now = new Date() } = options;
  const publicKey =
    publicKeyFile === undefined
      ? await readPublicKey(ledgerDirectory)
      : createPublicKey(await readFile(publicKeyFile, 'utf8'));
  const { entries, faults } = await verifyLedgerDirectory(ledgerDirectory, publicKey);
  const findings = store === undefined ? [] : audit(entries, store, now);
  const sound = faults.length === 0 && findings.length === 0;
  const head = entries.at(-1)?.hash;
  const recordings = store?.recordings.length;

  if (json) {
    output.write(
      `${JSON.stringify({ sound, entries: entries.length, head, recordings, faults, findings })}\n`,
    );
    return sound ? 0 : 1;
  }
  for (const { line, sequence, reason } of faults) {
    const entry = sequence === undefined ? '' : ` (entry ${sequence})`;
    output.write(line === 0 ? `ledger: ${reason}\n` : `ledger line ${line}${entry} ${reason}\n`);
  }
  for (const { recording, call, reason } of findings) {
    output.write(
      recording === undefined ? `call ${call ?? '?'} ${reason}\n` : `recording ${recording} ${reason}\n`,
    );
  }
  const seen = `${entries.length} entries${recordings === undefined ? '' : `, ${recordings} recordings`}`;
  const wrong = faults.length + findings.length;
  // The head is what an auditor notes down: entries cut off the end of the chain show against it the next time.
  output.write(
    sound ? `sound: ${seen}; head ${head ?? 'none'}\n` : `NOT SOUND: ${wrong} findings in ${seen}\n`,
  );
  return sound ? 0 : 1;
}
