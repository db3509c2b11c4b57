/** What the store holds, and what it held: rows in SQLite (WAL, synced at every change), tombstones for ever after. */
import { DatabaseSync } from 'node:sqlite';
import type { DestroyReceipt, DestroyReason, RecordingEnd, RecordingHeader } from '../fork/sink.ts';
import type { AlignedGap } from '../rtp/alignment.ts';
import type { EpochMicros, Side } from '../../config/units.ts';

/** `open`: being made. `complete` / `interrupted`: finished, and how. */
export type RecordingState = 'open' | 'complete' | 'interrupted';

/** What is known of a finished recording. */
export interface RecordingDetails {
  end: RecordingEnd | undefined;
  durationMs: number;
  /** Per side, milliseconds of audio that arrived. */
  storedMs: Record<Side, number>;
  gaps: AlignedGap[];
  firstPacketAt: EpochMicros | undefined;
  /** Hex SHA-256 of the WAV. */
  hash: string;
  /** Codecs that are not decoded here: their packets are kept in the journal beside. */
  undecoded: string[];
}

/** A contract that was concluded in the call, for which the law keeps the recording longer. */
export interface SignedContract {
  /** Day of the signature (UTC), `2026-11-20`. */
  signedOn: string;
  reference: string;
  /** RFC 3339. */
  retainUntil: string;
}

export interface CatalogueRow {
  header: RecordingHeader;
  state: RecordingState;
  agent: string;
  boot: string;
  details: RecordingDetails | undefined;
  contract?: SignedContract;
}

/** When a recording is to be erased (I5). */
export function retainUntilOf({ header, contract }: Pick<CatalogueRow, 'header' | 'contract'>): string {
  return contract?.retainUntil ?? header.retainUntil;
}

export interface Tombstone {
  receipt: DestroyReceipt;
  reason: DestroyReason;
}

const busyMs = 5_000;

export class Catalogue implements Disposable {
  readonly #db: DatabaseSync;

  constructor(path: string, { readOnly = false } = {}) {
    // The store and a command beside it may both write.
    this.#db = new DatabaseSync(path, { readOnly, timeout: busyMs });
    if (readOnly) return;
    this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    this.#db.exec(`
      CREATE TABLE IF NOT EXISTS recordings (
        id TEXT PRIMARY KEY, state TEXT NOT NULL, retain_until TEXT NOT NULL, row TEXT NOT NULL) STRICT;
      CREATE TABLE IF NOT EXISTS tombstones (id TEXT PRIMARY KEY, row TEXT NOT NULL) STRICT;`);
  }

  put(row: CatalogueRow): void {
    this.#db
      .prepare('INSERT OR REPLACE INTO recordings (id, state, retain_until, row) VALUES (?, ?, ?, ?)')
      .run(row.header.recording, row.state, retainUntilOf(row), JSON.stringify(row));
  }

  /**
   * Keeps a finished recording for its contract.
   *
   * @returns false where there is none that is finished
   */
  keepFor(id: string, contract: SignedContract): boolean {
    this.#db.exec('BEGIN IMMEDIATE');
    const row = this.get(id);
    const kept = row !== undefined && row.state !== 'open';
    if (kept) this.put({ ...row, contract });
    this.#db.exec('COMMIT');
    return kept;
  }

  get(id: string): CatalogueRow | undefined {
    const found = this.#db.prepare('SELECT row FROM recordings WHERE id = ?').get(id);
    return found === undefined ? undefined : (JSON.parse(String(found['row'])) as CatalogueRow);
  }

  all(): CatalogueRow[] {
    const rows = this.#db.prepare('SELECT row FROM recordings ORDER BY rowid').all();
    return rows.map((each) => JSON.parse(String(each['row'])) as CatalogueRow);
  }

  /** Recordings whose time has come (I5). */
  expired(now: Date): string[] {
    const rows = this.#db.prepare('SELECT id FROM recordings WHERE retain_until <= ?').all(now.toISOString());
    return rows.map((each) => String(each['id']));
  }

  /** The row goes, the tombstone comes, in one step. */
  bury(tombstone: Tombstone): void {
    const id = tombstone.receipt.recording;
    this.#db.exec('BEGIN IMMEDIATE');
    this.#db.prepare('DELETE FROM recordings WHERE id = ?').run(id);
    this.#db
      .prepare('INSERT OR REPLACE INTO tombstones (id, row) VALUES (?, ?)')
      .run(id, JSON.stringify(tombstone));
    this.#db.exec('COMMIT');
  }

  tombstone(id: string): Tombstone | undefined {
    const found = this.#db.prepare('SELECT row FROM tombstones WHERE id = ?').get(id);
    return found === undefined ? undefined : (JSON.parse(String(found['row'])) as Tombstone);
  }

  tombstones(): Tombstone[] {
    const rows = this.#db.prepare('SELECT row FROM tombstones ORDER BY rowid').all();
    return rows.map((each) => JSON.parse(String(each['row'])) as Tombstone);
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}
