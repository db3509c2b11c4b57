/**
 * One writer to a folder. The lock is SQLite's lock on an empty database, which the kernel releases however the holder
 * died: no stale lock is ever left, and a process id that was given again or that another container uses cannot mislead.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { TacetError } from '../../config/errors.ts';

/** Another process writes to this folder. Two writers would fork the chain and the counts. */
export class AlreadyRunning extends TacetError {
  readonly directory: string;
  constructor(directory: string, holder: string) {
    super(
      `${directory} is in use by another Tacet (${holder}); stop it, or give this one a dataDir of its own`,
    );
    this.directory = directory;
  }
}

/** @throws AlreadyRunning */
export function lockDirectory(directory: string): Disposable {
  const holderFile = join(directory, 'writer');
  const database = new DatabaseSync(join(directory, 'writer.lock'), { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    // SQLITE_BUSY and SQLITE_LOCKED; anything else is a fault of the disk and told as it is.
    if (error instanceof Error && /locked/u.test(error.message)) {
      throw new AlreadyRunning(directory, holderOf(holderFile));
    }
    throw error;
  }
  writeFileSync(holderFile, `process ${process.pid} since ${new Date().toISOString()}\n`, { mode: 0o600 });
  return {
    [Symbol.dispose]() {
      database.close();
    },
  };
}

function holderOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return 'which one is not known';
  }
}
