/** The recordings of a store on its disk: begun, continued, finished into an artefact, destroyed. Knows nothing of sockets. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { EpochMicros } from '../../config/units.ts';
import { decodeBatch, type BatchedPacket } from '../fork/batch.ts';
import type { DestroyReason, DestroyReceipt, Gap, RecordingEnd, RecordingHeader } from '../fork/sink.ts';
import { align } from '../rtp/alignment.ts';
import { Catalogue, type Tombstone } from './catalogue.ts';
import { overwriteAndUnlink, writeDurably } from './durable.ts';
import { Journal, type JournalContents, readJournal } from './journal.ts';
import { KeyRing } from './keyring.ts';
import { openFile, sealFile } from './sealed-file.ts';
import { stereoWav } from './wav.ts';

interface OpenRecording {
  journal: Journal;
  gaps: Set<string>;
}

/** Why the vault takes no recording; the word goes to the agent. */
export type VaultRefusal = 'destroyed' | 'finished' | 'disk-full';

export interface VaultOptions {
  directory: string;
  /** Below this much free space no new recording is begun. */
  reserveBytes?: number;
}

export class Vault implements Disposable {
  readonly keys: KeyRing;
  readonly #directory: string;
  readonly #reserveBytes: number;
  readonly #catalogue: Catalogue;
  readonly #open = new Map<string, OpenRecording>();

  constructor({ directory, reserveBytes = 256 * 1024 * 1024 }: VaultOptions) {
    this.#directory = directory;
    this.#reserveBytes = reserveBytes;
    for (const folder of ['journal', 'objects'])
      mkdirSync(join(directory, folder), { recursive: true, mode: 0o700 });
    this.keys = new KeyRing(directory);
    this.#catalogue = new Catalogue(join(directory, 'catalogue.sqlite'));
  }

  /** Begins a recording or goes on with it; gives its position, or why not. */
  begin(header: RecordingHeader, from: { agent: string; boot: string }): number | VaultRefusal {
    const id = header.recording;
    if (this.#catalogue.tombstone(id) !== undefined) return 'destroyed';
    const row = this.#catalogue.get(id);
    if (row !== undefined && row.state !== 'open') return 'finished';
    const open = this.#open.get(id);
    if (open !== undefined) return open.journal.written;
    if (row !== undefined) return this.#resume(id).journal.written;
    const { bavail, bsize } = statfsSync(this.#directory);
    if (bavail * bsize < this.#reserveBytes) return 'disk-full';
    // The row comes first: a journal that no row names would be an orphan after a crash.
    this.#catalogue.put({ header, state: 'open', ...from, details: undefined });
    const journal = Journal.create(this.#journalPath(id), this.keys.create(id), header);
    this.#open.set(id, { journal, gaps: new Set() });
    return 0;
  }

  /** Takes a batch. `repeated`: it was here before; `hole`: one before it is missing. */
  take(id: string, number: number, batch: Uint8Array): 'taken' | 'repeated' | 'hole' | 'unknown' {
    const open = this.#open.get(id);
    if (open === undefined) return 'unknown';
    if (number < open.journal.written) return 'repeated';
    if (number > open.journal.written) return 'hole';
    open.journal.batch(batch);
    return 'taken';
  }

  gap(id: string, gap: Gap): void {
    const open = this.#open.get(id);
    const text = JSON.stringify(gap);
    if (open === undefined || open.gaps.has(text)) return;
    open.gaps.add(text);
    open.journal.gap(gap);
  }

  /** Brings what was taken to stable storage; gives the position that may be acknowledged. */
  async sync(id: string): Promise<number | undefined> {
    const open = this.#open.get(id);
    if (open === undefined) return undefined;
    const position = open.journal.written;
    await open.journal.sync();
    return this.#open.has(id) ? position : undefined;
  }

  /** Makes the artefact; without `end` the recording was interrupted. Idempotent. */
  finish(id: string, end: RecordingEnd | undefined): void {
    const row = this.#catalogue.get(id);
    if (row?.state !== 'open') return;
    const journalPath = this.#journalPath(id);
    const open = this.#open.get(id) ?? (existsSync(journalPath) ? this.#resume(id) : undefined);
    this.#open.delete(id);
    open?.journal.close();
    const key = this.keys.has(id) ? this.keys.open(id) : this.keys.create(id);
    const contents: JournalContents =
      open === undefined
        ? { header: row.header, batches: [], gaps: [], end: undefined }
        : readJournal(journalPath, key);

    const packets = inOrder(contents.batches.flatMap((batch) => decodeBatch(batch)));
    const { header, gaps } = contents;
    const last = packets.reduce<number>(
      (latest, { arrivedAt }) => Math.max(latest, arrivedAt),
      header.startedAt,
    );
    const endedAt = (end?.totals.stoppedAt ?? last) as EpochMicros;
    const aligned = align({ packets, gaps, codecs: header.codecs, startedAt: header.startedAt, endedAt });
    const wav = stereoWav(aligned.samples, aligned.rate);
    const details = {
      end,
      durationMs: aligned.durationMs,
      storedMs: aligned.storedMs,
      gaps: aligned.gaps,
      firstPacketAt: aligned.firstPacketAt,
      hash: createHash('sha256').update(wav).digest('hex'),
      undecoded: aligned.undecoded,
    };
    writeDurably(this.#audioPath(id), sealFile(key, 'audio', wav));
    writeDurably(
      this.#metadataPath(id),
      sealFile(key, 'metadata', Buffer.from(JSON.stringify({ header, ...details }))),
    );
    // Read back before the journal goes: what cannot be read was never kept.
    openFile(key, 'audio', readFileSync(this.#audioPath(id)));
    const interrupted = end === undefined || end.reason === 'interrupted' || end.reason === 'media-lost';
    this.#catalogue.put({ ...row, state: interrupted ? 'interrupted' : 'complete', details });
    // Its key is the artefact's, so that what is left of it on the disk is as readable as that: destroying the key is enough.
    if (open !== undefined && details.undecoded.length === 0) unlinkSync(journalPath);
  }

  /**
   * Destroys a recording: its key first, then what is left of it, and only when that is verified gone its row. The
   * tombstone's receipt is the same however often it is asked for.
   */
  destroy(id: string, reason: DestroyReason): DestroyReceipt {
    const buried = this.#catalogue.tombstone(id);
    if (buried !== undefined) return buried.receipt;
    this.#open.get(id)?.journal.close();
    this.#open.delete(id);
    this.keys.destroy(id);
    let bytes = 0;
    const paths = [this.#journalPath(id), this.#audioPath(id), this.#metadataPath(id)];
    for (const path of paths.filter(existsSync)) {
      bytes += statSync(path).size;
      overwriteAndUnlink(path);
    }
    if (this.keys.has(id) || paths.some(existsSync)) throw new Error(`recording ${id} is not gone`);
    const facts = { recording: id, destroyedAt: new Date().toISOString(), bytes };
    const proof = createHash('sha256')
      .update(JSON.stringify({ ...facts, reason }))
      .digest('hex');
    const receipt = { ...facts, proof } as DestroyReceipt;
    this.#catalogue.bury({ receipt, reason });
    return receipt;
  }

  /** Erases what is past its date (I5). */
  sweep(now: Date): DestroyReceipt[] {
    return this.#catalogue.expired(now).map((id) => this.destroy(id, 'retention'));
  }

  /** Ids of recordings that are open, by who makes them. */
  openOf(is: (from: { agent: string; boot: string }) => boolean): string[] {
    return this.#catalogue
      .all()
      .flatMap((row) => (row.state === 'open' && is(row) ? [row.header.recording] : []));
  }

  /** Files that no row names, and rows whose file is missing. */
  orphans(): { files: string[]; rows: string[] } {
    const rows = this.#catalogue.all();
    const known = new Set(rows.map(({ header }) => header.recording as string));
    const files = ['journal', 'objects'].flatMap((folder) =>
      readdirSync(join(this.#directory, folder)).filter((file) => !known.has(file.split('.')[0]!)),
    );
    const missing = rows.filter(
      ({ state, header }) => state !== 'open' && !existsSync(this.#audioPath(header.recording)),
    );
    return { files, rows: missing.map(({ header }) => header.recording) };
  }

  tombstones(): Tombstone[] {
    return this.#catalogue.tombstones();
  }

  [Symbol.dispose](): void {
    for (const { journal } of this.#open.values()) journal.close();
    this.#open.clear();
    this.#catalogue[Symbol.dispose]();
  }

  #resume(id: string): OpenRecording {
    const { journal, contents } = Journal.resume(this.#journalPath(id), this.keys.open(id));
    const open = { journal, gaps: new Set(contents.gaps.map((gap) => JSON.stringify(gap))) };
    this.#open.set(id, open);
    return open;
  }

  #journalPath(id: string): string {
    return join(this.#directory, 'journal', `${id}.journal`);
  }

  #audioPath(id: string): string {
    return join(this.#directory, 'objects', `${id}.wav.sealed`);
  }

  #metadataPath(id: string): string {
    return join(this.#directory, 'objects', `${id}.json.sealed`);
  }
}

function inOrder(packets: BatchedPacket[]): BatchedPacket[] {
  return packets.sort((a, b) => a.sequence - b.sequence);
}
