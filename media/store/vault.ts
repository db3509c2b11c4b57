/** The recordings of a store on its disk: begun, continued, finished into an artefact, destroyed. Knows nothing of sockets. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { DestroyReason, DestroyReceipt, Gap, RecordingEnd, RecordingHeader } from '../fork/sink.ts';
import { wasInterrupted } from './artefact.ts';
import { ArtefactMaker } from './artefact-maker.ts';
import { Catalogue, type Tombstone } from './catalogue.ts';
import { overwriteAndUnlink, syncDirectory, unfinished } from './durable.ts';
import { Journal, JournalWithoutHeader } from './journal.ts';
import { KeyRing } from './keyring.ts';

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

export class Vault implements AsyncDisposable {
  readonly keys: KeyRing;
  readonly #directory: string;
  readonly #reserveBytes: number;
  readonly #catalogue: Catalogue;
  readonly #open = new Map<string, OpenRecording>();
  /** Recordings that have ended and whose artefact is being made. */
  readonly #finishing = new Map<string, Promise<void>>();
  readonly #artefacts = new ArtefactMaker();

  constructor({ directory, reserveBytes = 256 * 1024 * 1024 }: VaultOptions) {
    this.#directory = directory;
    this.#reserveBytes = reserveBytes;
    for (const folder of ['journal', 'objects'])
      mkdirSync(join(directory, folder), { recursive: true, mode: 0o700 });
    this.keys = new KeyRing(directory);
    this.#catalogue = new Catalogue(join(directory, 'catalogue.sqlite'));
  }

  /**
   * Begins a recording or goes on with it; gives its position, or why not.
   *
   * @throws SealedFileBroken when what there is of it cannot be read, and what the file system throws
   */
  begin(header: RecordingHeader, from: { agent: string; boot: string }): number | VaultRefusal {
    const id = header.recording;
    if (this.#catalogue.tombstone(id) !== undefined) return 'destroyed';
    const row = this.#catalogue.get(id);
    if (this.#finishing.has(id) || (row !== undefined && row.state !== 'open')) return 'finished';
    const open = this.#open.get(id);
    if (open !== undefined) return open.journal.durable;
    const resumed = row === undefined ? undefined : this.#resume(id);
    if (resumed !== undefined) return resumed.journal.durable;
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
    if (number < open.journal.taken) return 'repeated';
    if (number > open.journal.taken) return 'hole';
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
    await open.journal.sync();
    return this.#open.has(id) ? open.journal.durable : undefined;
  }

  /**
   * Ends a recording and makes its artefact, in its turn; without `end` it was interrupted, unless its journal says how it
   * ended. Idempotent.
   *
   * @throws ArtefactFailed
   */
  async finish(id: string, end: RecordingEnd | undefined): Promise<void> {
    const finishing = this.#finishing.get(id) ?? this.#finish(id, end);
    this.#finishing.set(id, finishing);
    try {
      await finishing;
    } finally {
      this.#finishing.delete(id);
    }
  }

  async #finish(id: string, end: RecordingEnd | undefined): Promise<void> {
    const row = this.#catalogue.get(id);
    if (row?.state !== 'open') return;
    const journalPath = this.#journalPath(id);
    const open = this.#open.get(id) ?? this.#resume(id);
    this.#open.delete(id);
    const key = this.keys.has(id) ? this.keys.open(id) : this.keys.create(id);
    if (open !== undefined && end !== undefined) open.journal.end(end);
    await open?.journal.sync();
    open?.journal.close();
    const [audio, metadata] = [this.#audioPath(id), this.#metadataPath(id)];
    const [newAudio, newMetadata] = [unfinished(audio), unfinished(metadata)];
    const order = { header: row.header, key, journalPath, audioPath: newAudio, metadataPath: newMetadata };
    const isOpen = (): boolean => this.#catalogue.get(id)?.state === 'open';
    const details = await this.#artefacts.make(order).catch((error: unknown) => {
      if (isOpen()) throw error;
    });
    if (details === undefined || !isOpen()) {
      // Destroyed while it was made: what came of it goes the same way.
      for (const path of [newAudio, newMetadata].filter(existsSync)) overwriteAndUnlink(path);
      return;
    }
    renameSync(newAudio, audio);
    renameSync(newMetadata, metadata);
    syncDirectory(join(this.#directory, 'objects'));
    const state = wasInterrupted(details.end) ? 'interrupted' : 'complete';
    this.#catalogue.put({ ...row, state, details });
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
    const objects = [this.#audioPath(id), this.#metadataPath(id)];
    const paths = [this.#journalPath(id), ...objects, ...objects.map(unfinished)];
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

  /** Makes the artefacts of all that has ended, and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#finishing.values());
    await this.#artefacts[Symbol.asyncDispose]();
    for (const { journal } of this.#open.values()) {
      await journal.sync();
      journal.close();
    }
    this.#open.clear();
    this.#catalogue[Symbol.dispose]();
  }

  /** Goes on with its journal, if there is one. One of which nothing was written is removed: nothing of it was acknowledged. */
  #resume(id: string): OpenRecording | undefined {
    const path = this.#journalPath(id);
    if (!existsSync(path)) return undefined;
    try {
      const { journal, gaps } = Journal.resume(path, this.keys.open(id));
      const open = { journal, gaps: new Set(gaps.map((gap) => JSON.stringify(gap))) };
      this.#open.set(id, open);
      return open;
    } catch (error) {
      if (!(error instanceof JournalWithoutHeader)) throw error;
      unlinkSync(path);
      return undefined;
    }
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
