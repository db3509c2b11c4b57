/**
 * A file of chunks, each sealed on its own with AES-256-GCM under the recording's data key: readable up to the last whole
 * chunk after any crash. A chunk's nonce is its number and the file's kind; its number is authenticated, so that chunks
 * cannot change places.
 */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, readSync } from 'node:fs';
import { TacetError } from '../../config/errors.ts';
import { tagBytes } from '../fork/seal.ts';
import { writeAll } from './durable.ts';

/** Kinds of file that one data key seals: no nonce is used twice under it. */
export type SealedKind = 'journal' | 'audio' | 'metadata';
const kindNumbers: Record<SealedKind, number> = { journal: 1, audio: 2, metadata: 3 };

const lengthBytes = 4;
const largestChunk = 16 * 1024 * 1024;
const zerosAtOnce = 64 * 1024;

/** A chunk was changed, exchanged or sealed under another key. */
export class SealedFileBroken extends TacetError {}

function nonceOf(kind: SealedKind, number: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(kindNumbers[kind], 0);
  nonce.writeUIntBE(number, 6, 6);
  return nonce;
}

/** Memory for the chunk that is on its way to a file: with one for each, collecting them cost a store half of its time. */
let room = Buffer.alloc(64 * 1024);

/** Appends a chunk to a file. */
export function writeChunk(
  fd: number,
  key: KeyObject,
  kind: SealedKind,
  number: number,
  bytes: Uint8Array,
): void {
  const length = lengthBytes + bytes.length + tagBytes;
  if (length > room.length) room = Buffer.alloc(2 * length);
  room.writeUInt32BE(bytes.length + tagBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(kind, number));
  room.set(cipher.update(bytes), lengthBytes);
  cipher.final();
  room.set(cipher.getAuthTag(), lengthBytes + bytes.length);
  writeAll(fd, room.subarray(0, length));
}

/** A sealed file, opened chunk by chunk: none needs more memory than its largest chunk. */
export class SealedReader implements Disposable {
  readonly #fd: number;
  readonly #key: KeyObject;
  readonly #kind: SealedKind;
  readonly #size: number;
  /** Where each chunk that was read begins. */
  readonly #starts: number[] = [];
  /** Bytes of the file that the whole chunks read so far fill; what follows the last is a torn write. */
  wholeBytes = 0;

  constructor(path: string, key: KeyObject, kind: SealedKind) {
    this.#fd = openSync(path, 'r');
    this.#size = fstatSync(this.#fd).size;
    this.#key = key;
    this.#kind = kind;
  }

  /** Chunks read so far. */
  get chunks(): number {
    return this.#starts.length;
  }

  /**
   * The next chunk; undefined after the last whole one. A write that was torn is not whole: after a power failure a file may
   * be as long as it was to be, and zero from some byte on.
   *
   * @throws SealedFileBroken
   */
  next(): Buffer | undefined {
    const at = this.wholeBytes;
    if (at + lengthBytes > this.#size) return undefined;
    const length = this.#lengthAt(at);
    const end = at + lengthBytes + length;
    if (length === 0 || end > this.#size) return undefined;
    try {
      const opened = this.#open(this.chunks, at, length);
      this.#starts.push(at);
      this.wholeBytes = end;
      return opened;
    } catch (error) {
      if (this.#isZeroFrom(end - 1)) return undefined;
      throw error;
    }
  }

  /** A chunk that was read before, again. @throws SealedFileBroken */
  again(number: number): Buffer {
    const at = this.#starts[number]!;
    return this.#open(number, at, this.#lengthAt(at));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #isZeroFrom(start: number): boolean {
    for (let at = start; at < this.#size; at += zerosAtOnce)
      if (this.#read(at, Math.min(zerosAtOnce, this.#size - at)).some((byte) => byte !== 0)) return false;
    return true;
  }

  #lengthAt(at: number): number {
    return this.#read(at, lengthBytes).readUInt32BE();
  }

  #open(number: number, at: number, length: number): Buffer {
    if (length < tagBytes || length > largestChunk)
      throw new SealedFileBroken(`chunk ${number}: length ${length}`);
    const sealed = this.#read(at + lengthBytes, length);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonceOf(this.#kind, number));
    decipher.setAuthTag(sealed.subarray(length - tagBytes));
    try {
      // In this mode a decipher keeps nothing back: its end only says whether all was as it was sealed.
      const opened = decipher.update(sealed.subarray(0, length - tagBytes));
      decipher.final();
      return opened;
    } catch {
      throw new SealedFileBroken(`chunk ${number} was changed, or is sealed under another key`);
    }
  }

  #read(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let read = 0; read < length;) {
      const more = readSync(this.#fd, bytes, read, length - read, at + read);
      if (more === 0) throw new SealedFileBroken(`cut short at byte ${at + read} while it was read`);
      read += more;
    }
    return bytes;
  }
}

/**
 * Writes a file once, a chunk for each piece, and an empty last one that says that it is whole; on stable storage when
 * this returns, though its name may not be.
 */
export function writeSealed(
  path: string,
  key: KeyObject,
  kind: SealedKind,
  pieces: Iterable<Uint8Array>,
): void {
  const fd = openSync(path, 'w', 0o600);
  try {
    let number = 0;
    for (const piece of pieces) writeChunk(fd, key, kind, number++, piece);
    writeChunk(fd, key, kind, number, new Uint8Array(0));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The pieces of a file that `writeSealed` wrote. @throws SealedFileBroken also when its end is missing */
export function* readSealed(path: string, key: KeyObject, kind: SealedKind): Generator<Buffer> {
  using reader = new SealedReader(path, key, kind);
  for (let chunk = reader.next(); chunk !== undefined; chunk = reader.next()) {
    if (chunk.length === 0) return;
    yield chunk;
  }
  throw new SealedFileBroken('its end is missing');
}
