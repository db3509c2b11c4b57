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

export interface CatalogueRow {
  header: RecordingHeader;
  state: RecordingState;
  agent: string;
  boot: string;
  details: RecordingDetails | undefined;
}

export interface Tombstone {
  receipt: DestroyReceipt;
  reason: DestroyReason;
}

export class Catalogue implements Disposable {
  readonly #db: DatabaseSync;

  constructor(path: string, { readOnly = false } = {}) {
    this.#db = new DatabaseSync(path, { readOnly });
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
      .run(row.header.recording, row.state, row.header.retainUntil, JSON.stringify(row));
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
