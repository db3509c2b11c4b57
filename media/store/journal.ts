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

const sync = promisify(fdatasync);

/** What a journal says when it is read. */
export interface JournalContents {
  header: RecordingHeader;
  /** Batches in order; their count is the position. */
  batches: Buffer[];
  gaps: Gap[];
  end: RecordingEnd | undefined;
}

const kinds = { header: 1, batch: 2, gap: 3, end: 4 } as const;

export class Journal {
  readonly #fd: number;
  readonly #key: KeyObject;
  #chunks: number;
  /** Frames written, synced or not. */
  written: number;
  #dirty = false;
  #closed = false;
  #syncing = 0;

  private constructor(fd: number, key: KeyObject, chunks: number, frames: number) {
    this.#fd = fd;
    this.#key = key;
    this.#chunks = chunks;
    this.written = frames;
  }

  /** Begins a journal. @throws when there is one already */
  static create(path: string, key: KeyObject, header: RecordingHeader): Journal {
    const journal = new Journal(openSync(path, 'ax', 0o600), key, 0, 0);
    journal.#append(kinds.header, Buffer.from(JSON.stringify(header)));
    return journal;
  }

  /** Goes on with a journal after a restart; a torn last chunk was never acknowledged and is cut off. */
  static resume(path: string, key: KeyObject): { journal: Journal; contents: JournalContents } {
    const { chunks, wholeBytes } = openChunks(key, 'journal', readFileSync(path));
    const contents = interpret(chunks);
    const fd = openSync(path, 'r+');
    ftruncateSync(fd, wholeBytes);
    closeSync(fd);
    const journal = new Journal(openSync(path, 'a', 0o600), key, chunks.length, contents.batches.length);
    return { journal, contents };
  }

  batch(batch: Uint8Array): void {
    this.#append(kinds.batch, batch);
    this.written += 1;
  }

  gap(gap: Gap): void {
    this.#append(kinds.gap, Buffer.from(JSON.stringify(gap)));
  }

  end(end: RecordingEnd): void {
    this.#append(kinds.end, Buffer.from(JSON.stringify(end)));
  }

  /** Brings everything written so far to stable storage. */
  async sync(): Promise<void> {
    if (!this.#dirty || this.#closed) return;
    this.#dirty = false;
    this.#syncing += 1;
    try {
      await sync(this.#fd);
    } finally {
      this.#syncing -= 1;
      this.#letGo();
    }
  }

  close(): void {
    this.#closed = true;
    this.#letGo();
  }

  /** A descriptor that is being synced must stay: its number would be given to another file. */
  #letGo(): void {
    if (this.#closed && this.#syncing === 0) closeSync(this.#fd);
  }

  #append(kind: number, bytes: Uint8Array): void {
    const chunk = new Uint8Array(1 + bytes.length);
    chunk[0] = kind;
    chunk.set(bytes, 1);
    writeAll(this.#fd, sealChunk(this.#key, 'journal', this.#chunks, chunk));
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
