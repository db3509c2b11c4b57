/** Reading a ledger, by anybody who has the files and the public key. */
import type { KeyObject } from 'node:crypto';
import { ChainCheck, type ChainFault } from './chain.ts';
import type { LedgerEntry } from './ledger.ts';
import { readLines } from './segments.ts';

/** The entries of a ledger, oldest first, unchecked; lines that are no entries are passed over. */
export async function* readLedger(directory: string): AsyncGenerator<LedgerEntry> {
  const check = new ChainCheck(undefined);
  for await (const { text } of readLines(directory)) {
    const { entry } = check.next(text);
    if (entry !== undefined) yield entry;
  }
}

export interface LedgerVerdict {
  entries: LedgerEntry[];
  faults: ChainFault[];
}

/**
 * Checks a ledger given as its lines: pure, so that an auditor's copy is checked as the original.
 *
 * @param lines without line feeds; `whole: false` for a last line that lacks its own
 */
export function verifyLedger(
  lines: Iterable<{ text: string; whole: boolean }>,
  publicKey: KeyObject | undefined,
): LedgerVerdict {
  const verifier = new LedgerVerifier(publicKey);
  for (const line of lines) verifier.add(line);
  return verifier.verdict();
}

/** Checks the ledger of a folder with a public key that the auditor was given, not with the one that lies there. */
export async function verifyLedgerDirectory(
  directory: string,
  publicKey: KeyObject | undefined,
): Promise<LedgerVerdict> {
  const verifier = new LedgerVerifier(publicKey);
  for await (const line of readLines(directory)) verifier.add(line);
  return verifier.verdict();
}

class LedgerVerifier {
  readonly #check: ChainCheck;
  readonly #entries: LedgerEntry[] = [];
  readonly #faults: ChainFault[] = [];
  #line = 0;

  constructor(publicKey: KeyObject | undefined) {
    this.#check = new ChainCheck(publicKey);
    if (publicKey === undefined) {
      this.#faults.push({
        line: 0,
        sequence: undefined,
        reason: 'no public key: signatures cannot be checked',
      });
    }
  }

  add({ text, whole }: { text: string; whole: boolean }): void {
    this.#line += 1;
    const { entry, faults } = this.#check.next(text);
    this.#faults.push(...faults);
    if (!whole) {
      const reason =
        'is unfinished: the agent was killed while it wrote (its next start removes the line), or it was cut';
      this.#faults.push({ line: this.#line, sequence: entry?.sequence, reason });
    }
    if (entry !== undefined) this.#entries.push(entry);
  }

  verdict(): LedgerVerdict {
    const { unsigned } = this.#check;
    if (unsigned > 0) {
      const others = unsigned === 1 ? '' : `, nor are the ${unsigned - 1} before it`;
      const reason =
        `is not signed${others}: the agent was killed while it wrote (its next start removes what is not signed), ` +
        'or what followed was cut off';
      this.#faults.push({ line: this.#line, sequence: this.#check.head.sequence, reason });
    }
    return { entries: this.#entries, faults: this.#faults };
  }
}
