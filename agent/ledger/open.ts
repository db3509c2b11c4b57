/** The ledger on disk: one writer, group commit, segments. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../config/errors.ts';
import { AppendFile } from './append-file.ts';
import { ChainCheck, endsSigned, genesis, sealEntry, type ChainHead } from './chain.ts';
import { GroupCommit, type Urgency } from './group-commit.ts';
import { openPseudonyms, openSigningKey, type SigningKey } from './keys.ts';
import {
  LedgerBroken,
  LedgerUnavailable,
  type LedgerEntry,
  type LedgerEvent,
  type SiteLedger,
} from './ledger.ts';
import { listSegments, readLines, segmentFile } from './segments.ts';
import { lockDirectory } from './writer-lock.ts';

export interface LedgerPlace {
  directory: string;
  /** Names the installation in messages. */
  site: string;
  /** A new segment is begun beyond this size. */
  segmentBytes?: number;
  clock?: () => Date;
}

/**
 * Opens a site's ledger for writing; makes its folder and keys at the first start. What a killed agent left without its
 * end (a line feed, a signature) was never acknowledged and is cut off. The newest segment is checked whole, with its link
 * to the one before; `tacet verify` checks all.
 *
 * @throws LedgerBroken when the chain does not hold: going on would cover it up
 * @throws AlreadyRunning
 */
export async function openLedger(place: LedgerPlace): Promise<SiteLedger> {
  const { directory, segmentBytes = 16 * 1_048_576, clock = () => new Date() } = place;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const lock = lockDirectory(directory);
  try {
    const keys = await openSigningKey(directory);
    const pseudonym = await openPseudonyms(directory);
    const { file, head, segment } = await openNewestSegment(place, keys);
    return new LedgerWriter({ directory, file, head, segment, segmentBytes, keys, clock, lock, pseudonym });
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

interface OpenSegment {
  file: AppendFile;
  head: ChainHead;
  /** Number of the segment. */
  segment: number;
}

async function openNewestSegment({ directory, site }: LedgerPlace, keys: SigningKey): Promise<OpenSegment> {
  const segments = await listSegments(directory);
  const newest = segments.at(-1) ?? segmentFile(1);
  const { file, lines } = await AppendFile.open(join(directory, newest), endsSigned);
  try {
    const before = await headOf(directory, segments.slice(-2, -1));
    const check = new ChainCheck(keys.publicKey, before);
    for (const line of lines) {
      const [fault] = check.next(line).faults;
      if (fault !== undefined) throw new LedgerBroken(site, newest, fault.line, fault.reason);
    }
    return { file, head: check.head, segment: Number.parseInt(newest, 10) };
  } catch (error) {
    await file[Symbol.asyncDispose]();
    throw error;
  }
}

/** The last entry of the segment before; genesis where there is none. Its own links are not checked here. */
async function headOf(directory: string, segments: readonly string[]): Promise<ChainHead> {
  let last: string | undefined;
  for await (const { text } of readLines(directory, segments)) last = text;
  if (last === undefined) return genesis;
  const check = new ChainCheck(undefined);
  check.next(last);
  return check.head;
}

interface LedgerParts extends OpenSegment {
  directory: string;
  segmentBytes: number;
  keys: SigningKey;
  clock: () => Date;
  lock: Disposable;
  pseudonym: (number: string) => string;
}

class LedgerWriter implements SiteLedger {
  readonly pseudonym: (number: string) => string;
  readonly #parts: Readonly<LedgerParts>;
  readonly #commits: GroupCommit<LedgerEvent, LedgerEntry>;
  #file: AppendFile;
  #segment: number;
  #head: ChainHead;
  #closed = false;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
    this.pseudonym = parts.pseudonym;
    this.#file = parts.file;
    this.#segment = parts.segment;
    this.#head = parts.head;
    this.#commits = new GroupCommit((events) => this.#commit(events));
  }

  async append(event: LedgerEvent, urgency?: Urgency): Promise<LedgerEntry> {
    if (this.#closed) throw new LedgerUnavailable(event.kind, 'the ledger is closed');
    try {
      return await this.#commits.add(event, urgency);
    } catch (error) {
      throw new LedgerUnavailable(event.kind, messageOf(error));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#commits.idle();
    await this.#file[Symbol.asyncDispose]();
    this.#parts.lock[Symbol.dispose]();
  }

  /**
   * One signature for the batch, at its last entry: it vouches for the others through the chain, and an audit checks one
   * signature where it checked a hundred. The head moves only when the batch is durable: a failed write leaves no gap.
   */
  async #commit(events: readonly LedgerEvent[]): Promise<LedgerEntry[]> {
    if (this.#file.size >= this.#parts.segmentBytes) await this.#beginSegment();
    const { clock, keys } = this.#parts;
    const entries: LedgerEntry[] = [];
    let head = this.#head;
    let text = '';
    for (const [index, event] of events.entries()) {
      // Calls in set-up have their turn in a batch of hundreds.
      if (index % 8 === 7) await new Promise((resolve) => setImmediate(resolve));
      const key = index === events.length - 1 ? keys.privateKey : undefined;
      const { entry, line } = sealEntry(head, event, clock().toISOString(), key);
      entries.push(entry);
      text += `${line}\n`;
      head = entry;
    }
    await this.#file.append(text);
    this.#head = head;
    return entries;
  }

  async #beginSegment(): Promise<void> {
    const { file } = await AppendFile.open(join(this.#parts.directory, segmentFile(this.#segment + 1)));
    const full = this.#file;
    this.#file = file;
    this.#segment += 1;
    await full[Symbol.asyncDispose]();
  }
}
