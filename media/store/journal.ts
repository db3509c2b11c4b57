/**
 * A recording while it is made: an append-only sealed file. Everything acknowledged is in it; a crash of anything costs at
 * most what was not acknowledged, which the agent still has.
 */
import type { KeyObject } from 'node:crypto';
import { closeSync, fdatasync, fdatasyncSync, ftruncateSync, openSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Gap, RecordingEnd, RecordingHeader } from '../fork/sink.ts';
import type { BatchList } from '../rtp/segments.ts';
import { SealedFileBroken, SealedReader, writeChunk } from './sealed-file.ts';

/** Its first chunk is not whole: whoever began it died before anything of it could be acknowledged. */
export class JournalWithoutHeader extends SealedFileBroken {}

/** Resolves when all that was written to a descriptor is on stable storage. */
type Sync = (fd: number) => Promise<void>;
const dataSync: Sync = promisify(fdatasync);

/** What a journal says when it is read; its batches stay in the file until they are asked for. */
export interface JournalContents extends Disposable {
  header: RecordingHeader;
  /** Batches in order; their count is the position. */
  batches: BatchList;
  gaps: Gap[];
  end: RecordingEnd | undefined;
}

/** A chunk is its kind and what it holds; `batches` are several, each behind its length (u32). */
const kinds = { header: 1, batches: 2, gap: 3, end: 4 } as const;
const kindBytes = 1;
const lengthBytes = 4;
/** Batches wait for the next sync, or until there are this many bytes: sealing one by one costs more than their bytes. */
const mostPendingBytes = 64 * 1024;
/** Of chunks that are asked for again, so much is kept: a quarter of an hour of G.711. */
const keptBytes = 16 * 1024 * 1024;

export class Journal {
  readonly #fd: number;
  readonly #key: KeyObject;
  readonly #toStableStorage: Sync;
  #chunks: number;
  /** Frames taken, synced or not. */
  taken: number;
  /** Frames on stable storage. */
  durable: number;
  /** A chunk of the batches taken since the last that was written, its kind first. */
  #pending = Buffer.of(kinds.batches);
  #pendingBytes = kindBytes;
  #dirty = false;
  #closed = false;
  #syncing: Promise<void> = Promise.resolve();

  private constructor(fd: number, key: KeyObject, chunks: number, frames: number, sync: Sync) {
    this.#fd = fd;
    this.#toStableStorage = sync;
    this.#key = key;
    this.#chunks = chunks;
    this.taken = frames;
    this.durable = frames;
  }

  /** Begins a journal. @throws when there is one already */
  static create(path: string, key: KeyObject, header: RecordingHeader, sync = dataSync): Journal {
    const journal = new Journal(openSync(path, 'ax', 0o600), key, 0, 0, sync);
    journal.#append('header', header);
    return journal;
  }

  /**
   * Goes on with a journal after a restart; a torn last chunk was never acknowledged and is cut off.
   *
   * @throws JournalWithoutHeader, SealedFileBroken
   */
  static resume(path: string, key: KeyObject): { journal: Journal; gaps: Gap[] } {
    using contents = new JournalFile(path, key);
    const fd = openSync(path, 'r+');
    ftruncateSync(fd, contents.wholeBytes);
    fdatasyncSync(fd);
    closeSync(fd);
    const { chunks, gaps } = contents;
    const journal = new Journal(openSync(path, 'a', 0o600), key, chunks, contents.batches.count, dataSync);
    return { journal, gaps };
  }

  /** Takes a batch, which is written with the next sync. */
  batch(batch: Uint8Array): void {
    const start = this.#pendingBytes + lengthBytes;
    const end = start + batch.length;
    if (end > this.#pending.length) this.#pending = Buffer.concat([this.#pending], 2 * end);
    this.#pending.writeUInt32BE(batch.length, this.#pendingBytes);
    this.#pending.set(batch, start);
    this.#pendingBytes = end;
    this.taken += 1;
    this.#dirty = true;
    if (end >= mostPendingBytes) this.#writePending();
  }

  gap(gap: Gap): void {
    this.#append('gap', gap);
  }

  end(end: RecordingEnd): void {
    this.#append('end', end);
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
    this.#writePending();
    const { taken } = this;
    this.#dirty = false;
    await this.#toStableStorage(this.#fd);
    this.durable = taken;
  }

  #writePending(): void {
    if (this.#pendingBytes === kindBytes) return;
    this.#write(this.#pending.subarray(0, this.#pendingBytes));
    this.#pendingBytes = kindBytes;
  }

  #append(kind: keyof typeof kinds, text: unknown): void {
    this.#writePending();
    this.#write(Buffer.concat([Uint8Array.of(kinds[kind]), Buffer.from(JSON.stringify(text))]));
  }

  #write(chunk: Uint8Array): void {
    writeChunk(this.#fd, this.#key, 'journal', this.#chunks, chunk);
    this.#chunks += 1;
    this.#dirty = true;
  }
}

/** Opens a journal as it is, for reading. @throws SealedFileBroken */
export function openJournal(path: string, key: KeyObject): JournalContents {
  return new JournalFile(path, key);
}

class JournalFile implements JournalContents {
  readonly header: RecordingHeader;
  readonly batches: FiledBatches;
  readonly gaps: Gap[] = [];
  end: RecordingEnd | undefined;
  readonly #reader: SealedReader;

  constructor(path: string, key: KeyObject) {
    this.#reader = new SealedReader(path, key, 'journal');
    this.batches = new FiledBatches(this.#reader);
    try {
      this.header = this.#readAll();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  get wholeBytes(): number {
    return this.#reader.wholeBytes;
  }

  get chunks(): number {
    return this.#reader.chunks;
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
  }

  #readAll(): RecordingHeader {
    let header: RecordingHeader | undefined;
    for (let chunk = this.#reader.next(); chunk !== undefined; chunk = this.#reader.next()) {
      const text = (): string => chunk.toString('utf8', kindBytes);
      if (chunk[0] === kinds.header) header = JSON.parse(text()) as RecordingHeader;
      if (chunk[0] === kinds.batches) this.batches.add(this.#reader.chunks - 1, chunk);
      if (chunk[0] === kinds.gap) this.gaps.push(JSON.parse(text()) as Gap);
      if (chunk[0] === kinds.end) this.end = JSON.parse(text()) as RecordingEnd;
    }
    if (header === undefined) throw new JournalWithoutHeader('a journal without its header');
    return header;
  }
}

/** The batches of a journal's file, of which the last that were asked for are at hand. */
class FiledBatches implements BatchList {
  readonly #reader: SealedReader;
  /** Of each batch: in which chunk, from which byte, to before which. */
  readonly #chunks: number[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #kept = new Map<number, Buffer>();
  #keptBytes = 0;

  constructor(reader: SealedReader) {
    this.#reader = reader;
  }

  get count(): number {
    return this.#chunks.length;
  }

  add(number: number, chunk: Buffer): void {
    for (let at = kindBytes; at < chunk.length;) {
      const start = at + lengthBytes;
      const end = start + chunk.readUInt32BE(at);
      this.#chunks.push(number);
      this.#starts.push(start);
      this.#ends.push(end);
      at = end;
    }
    this.#keep(number, chunk);
  }

  at(number: number): Uint8Array | undefined {
    const chunk = this.#chunks[number];
    return chunk === undefined
      ? undefined
      : this.#chunk(chunk).subarray(this.#starts[number], this.#ends[number]);
  }

  *[Symbol.iterator](): Generator<Uint8Array> {
    for (let number = 0; number < this.count; number++) yield this.at(number)!;
  }

  #chunk(number: number): Buffer {
    return this.#kept.get(number) ?? this.#keep(number, this.#reader.again(number));
  }

  #keep(number: number, chunk: Buffer): Buffer {
    this.#kept.set(number, chunk);
    this.#keptBytes += chunk.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#keptBytes <= keptBytes) break;
      this.#kept.delete(oldest);
      this.#keptBytes -= length;
    }
    return chunk;
  }
}
