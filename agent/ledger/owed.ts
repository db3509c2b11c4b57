/**
 * Entries that commands beside the agent owe to the ledger, which has one writer: the running agent. A command leaves
 * what it did in a folder before it does it; the agent writes the entry and takes the note away, when it is there or at
 * its next start. An agent that dies in between writes an entry twice, never not at all.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chown, mkdir, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../config/errors.ts';
import type { RecordingId } from '../../config/units.ts';
import { syncDirectory } from './append-file.ts';
import type { LedgerEvent } from './ledger.ts';

const text = z.string().min(1).max(500);
const recording = text.transform((id) => id as RecordingId);
const owedEvent = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('recording.exported'),
    recording,
    by: text,
    reason: text,
    exportedAt: z.iso.datetime(),
  }),
  z.strictObject({
    kind: z.literal('recording.retained'),
    recording,
    signedOn: z.iso.date(),
    retainUntil: z.iso.datetime(),
    by: text,
    reference: text,
    retainedAt: z.iso.datetime(),
  }),
]);

export type OwedEvent = Extract<LedgerEvent, { kind: 'recording.exported' | 'recording.retained' }>;

const folderOf = (dataDir: string): string => join(dataDir, 'owed');
const lookMs = 1_000;

/**
 * Leaves a note of what is about to be done: on stable storage when this resolves.
 *
 * @throws the system's error: then it must not be done
 */
export async function owe(dataDir: string, event: OwedEvent): Promise<void> {
  const folder = folderOf(dataDir);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${new Date().toISOString().replaceAll(':', '')}-${randomUUID()}.json`);
  await writeFile(`${path}.new`, JSON.stringify(event), { mode: 0o600, flush: true });
  // Whoever may read the store's keys may be another than the one whom the agent runs as.
  const { uid, gid } = await stat(dataDir);
  if (process.getuid?.() === 0) for (const each of [folder, `${path}.new`]) await chown(each, uid, gid);
  await rename(`${path}.new`, path);
  await syncDirectory(folder);
}

export interface OwedNeeds {
  dataDir: string;
  append: (event: OwedEvent) => Promise<unknown>;
  /** A note that cannot be read or written into the ledger; told once, it stays and is tried again. */
  onTrouble: (file: string, why: string) => void;
}

/** Writes what is owed, now and as it comes; ends when the look that is under way has ended. */
export function settleOwed(needs: OwedNeeds): AsyncDisposable {
  const told = new Set<string>();
  const onTrouble = (file: string, why: string): void => {
    if (told.has(file)) return;
    told.add(file);
    needs.onTrouble(file, why);
  };
  let looking = settleOnce({ ...needs, onTrouble });
  const timer = setInterval(() => {
    looking = looking.then(() => settleOnce({ ...needs, onTrouble }));
  }, lookMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await looking;
    },
  };
}

async function settleOnce({ dataDir, append, onTrouble }: OwedNeeds): Promise<void> {
  const folder = folderOf(dataDir);
  if (!existsSync(folder)) return;
  const files = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  for (const file of files.sort()) {
    const path = join(folder, file);
    try {
      await append(owedEvent.parse(JSON.parse(await readFile(path, 'utf8'))));
      await unlink(path);
    } catch (error) {
      onTrouble(file, messageOf(error));
    }
  }
}
