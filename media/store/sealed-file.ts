/**
 * A file of chunks, each sealed on its own with AES-256-GCM under the recording's data key: readable up to the last whole
 * chunk after any crash. A chunk's nonce is its number and the file's kind; its number is authenticated, so that chunks
 * cannot change places.
 */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { TacetError } from '../../config/errors.ts';
import { tagBytes } from '../fork/seal.ts';

/** Kinds of file that one data key seals: no nonce is used twice under it. */
export type SealedKind = 'journal' | 'audio' | 'metadata';
const kindNumbers: Record<SealedKind, number> = { journal: 1, audio: 2, metadata: 3 };

const lengthBytes = 4;
const largestChunk = 16 * 1024 * 1024;

/** A chunk was changed, exchanged or sealed under another key. */
export class SealedFileBroken extends TacetError {}

function nonceOf(kind: SealedKind, number: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(kindNumbers[kind], 0);
  nonce.writeUIntBE(number, 6, 6);
  return nonce;
}

/** One chunk as it goes into the file: of parts that stand behind one another in it. */
export function sealChunk(
  key: KeyObject,
  kind: SealedKind,
  number: number,
  ...parts: readonly Uint8Array[]
): Buffer {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  const chunk = Buffer.allocUnsafe(lengthBytes + bytes + tagBytes);
  chunk.writeUInt32BE(bytes + tagBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(kind, number));
  let at = lengthBytes;
  for (const part of parts) {
    chunk.set(cipher.update(part), at);
    at += part.length;
  }
  cipher.final();
  chunk.set(cipher.getAuthTag(), at);
  return chunk;
}

export interface OpenedChunks {
  chunks: Buffer[];
  /** Bytes of the file that whole chunks fill; what follows is a torn write. */
  wholeBytes: number;
}

/** Opens all whole chunks. A torn last one is left out. @throws SealedFileBroken */
export function openChunks(key: KeyObject, kind: SealedKind, file: Buffer): OpenedChunks {
  const chunks: Buffer[] = [];
  let at = 0;
  while (at + lengthBytes <= file.length) {
    const length = file.readUInt32BE(at);
    const end = at + lengthBytes + length;
    if (length < tagBytes || length > largestChunk)
      throw new SealedFileBroken(`chunk ${chunks.length}: length ${length}`);
    if (end > file.length) break;
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(kind, chunks.length));
    decipher.setAuthTag(file.subarray(end - tagBytes, end));
    try {
      // In this mode a decipher keeps nothing back: its end only says whether all was as it was sealed.
      const opened = decipher.update(file.subarray(at + lengthBytes, end - tagBytes));
      decipher.final();
      chunks.push(opened);
    } catch {
      throw new SealedFileBroken(`chunk ${chunks.length} was changed, or is sealed under another key`);
    }
    at = end;
  }
  return { chunks, wholeBytes: at };
}

/** A file that is written once, in chunks of a mebibyte; an empty last chunk says that it is whole. */
export function sealFile(key: KeyObject, kind: SealedKind, bytes: Uint8Array): Buffer {
  const size = 1024 * 1024;
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    chunks.push(sealChunk(key, kind, chunks.length, bytes.subarray(at, at + size)));
  }
  chunks.push(sealChunk(key, kind, chunks.length, new Uint8Array(0)));
  return Buffer.concat(chunks);
}

/** @throws SealedFileBroken also when its end is missing */
export function openFile(key: KeyObject, kind: SealedKind, file: Buffer): Buffer {
  const { chunks, wholeBytes } = openChunks(key, kind, file);
  if (wholeBytes !== file.length || chunks.at(-1)?.length !== 0)
    throw new SealedFileBroken('its end is missing');
  return Buffer.concat(chunks);
}
