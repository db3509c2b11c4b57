/**
 * A recording while it is made: an append-only sealed file. Everything acknowledged is in it; a crash of anything costs at
 * most what was not acknowledged.
 */
import type { KeyObject } from 'node:crypto';
import { closeSync, fdatasync, ftruncateSync, openSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Gap, RecordingEnd, RecordingHeader } from '../fork/sink.ts';
import { writeAll } from './durable.ts';
import { openChunks, sealChunk } from './sealed-file.ts';

/** Resolves when all that was written to a descriptor is on stable storage. */
type Sync = (fd: number) => Promise<void>;
const dataSync: Sync = promisify(fdatasync);

/** What a journal says when it is read. */
export interface JournalContents {
  header: RecordingHeader;
  /** Batches in order; their count is the position. */
  batches: Buffer[];
  gaps: Gap[];
  end: RecordingEnd | undefined;
}

const kinds = { header: 1, batch: 2, gap: 3, end: 4 } as const;
/** As they stand before a chunk's contents. */
const kindBytes = {
  header: Uint8Array.of(kinds.header),
  batch: Uint8Array.of(kinds.batch),
  gap: Uint8Array.of(kinds.gap),
  end: Uint8Array.of(kinds.end),
};

export class Journal {
  readonly #fd: number;
  readonly #key: KeyObject;
  readonly #toStableStorage: Sync;
  #chunks: number;
  /** Frames written, synced or not. */
  written: number;
  #dirty = false;
  #closed = false;
  #syncing: Promise<void> = Promise.resolve();

  private constructor(fd: number, key: KeyObject, chunks: number, frames: number, sync: Sync) {
    this.#fd = fd;
    this.#toStableStorage = sync;
    this.#key = key;
    this.#chunks = chunks;
    this.written = frames;
  }

  /** Begins a journal. @throws when there is one already */
  static create(path: string, key: KeyObject, header: RecordingHeader, sync = dataSync): Journal {
    const journal = new Journal(openSync(path, 'ax', 0o600), key, 0, 0, sync);
    journal.#append('header', Buffer.from(JSON.stringify(header)));
    return journal;
  }

  /** Goes on with a journal after a restart; a torn last chunk was never acknowledged and is cut off. */
  static resume(path: string, key: KeyObject): { journal: Journal; contents: JournalContents } {
    const { chunks, wholeBytes } = openChunks(key, 'journal', readFileSync(path));
    const contents = interpret(chunks);
    const fd = openSync(path, 'r+');
    ftruncateSync(fd, wholeBytes);
    closeSync(fd);
    const journal = new Journal(
      openSync(path, 'a', 0o600),
      key,
      chunks.length,
      contents.batches.length,
      dataSync,
    );
    return { journal, contents };
  }

  batch(batch: Uint8Array): void {
    this.#append('batch', batch);
    this.written += 1;
  }

  gap(gap: Gap): void {
    this.#append('gap', Buffer.from(JSON.stringify(gap)));
  }

  end(end: RecordingEnd): void {
    this.#append('end', Buffer.from(JSON.stringify(end)));
  }

  /** Brings everything written so far to stable storage; not before an earlier call has done so with its part. */
  async sync(): Promise<void> {
    const turn = this.#syncing.then(() => this.#syncOnce());
    this.#syncing = turn.catch(() => undefined);
    await turn;
  }

  /** Closes the file, a sync that is under way being ended first: its descriptor's number would be given to another file. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#syncing.then(() => closeSync(this.#fd));
  }

  async #syncOnce(): Promise<void> {
    if (!this.#dirty || this.#closed) return;
    this.#dirty = false;
    await this.#toStableStorage(this.#fd);
  }

  #append(kind: keyof typeof kinds, bytes: Uint8Array): void {
    writeAll(this.#fd, sealChunk(this.#key, 'journal', this.#chunks, kindBytes[kind], bytes));
    this.#chunks += 1;
    this.#dirty = true;
  }
}

/** Reads a journal as it is. @throws SealedFileBroken */
export function readJournal(path: string, key: KeyObject): JournalContents {
  return interpret(openChunks(key, 'journal', readFileSync(path)).chunks);
}

function interpret(chunks: Buffer[]): JournalContents {
  let header: RecordingHeader | undefined;
  let end: RecordingEnd | undefined;
  const batches: Buffer[] = [];
  const gaps: Gap[] = [];
  for (const chunk of chunks) {
    const bytes = chunk.subarray(1);
    if (chunk[0] === kinds.header) header = JSON.parse(bytes.toString()) as RecordingHeader;
    if (chunk[0] === kinds.batch) batches.push(bytes);
    if (chunk[0] === kinds.gap) gaps.push(JSON.parse(bytes.toString()) as Gap);
    if (chunk[0] === kinds.end) end = JSON.parse(bytes.toString()) as RecordingEnd;
  }
  if (header === undefined) throw new Error('a journal without its header');
  return { header, batches, gaps, end };
}
