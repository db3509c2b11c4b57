/** Files that are there, whole, after any crash: or not at all. */
import { closeSync, fsyncSync, openSync, renameSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Writes a file under another name, syncs it, and gives it its name. */
export function writeDurably(path: string, bytes: Uint8Array, mode = 0o600): void {
  const temporary = unfinished(path);
  writeSynced(temporary, bytes, mode);
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}

/** The name that a file has until it is whole. */
export function unfinished(path: string): string {
  return `${path}.new`;
}

/** Writes a file whose bytes are on stable storage when this returns; its name may not be. */
export function writeSynced(path: string, bytes: Uint8Array, mode = 0o600): void {
  const fd = openSync(path, 'w', mode);
  try {
    writeAll(fd, bytes);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
}

/** A name is on stable storage only when its directory is (fsync(2)). */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Removes a file after its bytes were overwritten, as far as the file system underneath keeps them in place. */
export function overwriteAndUnlink(path: string): void {
  const fd = openSync(path, 'r+');
  try {
    writeAll(fd, new Uint8Array(statSync(path).size));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  unlinkSync(path);
  syncDirectory(dirname(path));
}
