import { createSecretKey, randomBytes } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RecordingHeader } from '../../../media/fork/sink.ts';
import { Journal, openJournal } from '../../../media/store/journal.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';

const header = { recording: 'one' } as RecordingHeader;

/** A disk whose syncs end when the test says so. */
class SlowDisk {
  readonly syncs: { fd: number; end: () => void }[] = [];
  #begun = Promise.withResolvers<undefined>();

  readonly sync = (fd: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.syncs.push({ fd, end: () => resolve(undefined) });
    this.#begun.resolve(undefined);
    return promise;
  };

  begun(): Promise<unknown> {
    return this.#begun.promise;
  }
}

test('nothing is said to be synced while the sync that carries it still runs', async () => {
  await using folder = await temporaryFolder('journal');
  const disk = new SlowDisk();
  const key = createSecretKey(randomBytes(32));
  const journal = Journal.create(join(folder.path, 'one'), key, header, disk.sync);
  const order: string[] = [];
  const first = journal.sync().then(() => order.push('first'));
  await disk.begun();
  const second = journal.sync().then(() => order.push('second'));
  // Whatever a second call could do without waiting it has done by now.
  await new Promise(setImmediate);
  expect(order).toEqual([]);
  disk.syncs[0]!.end();
  await Promise.all([first, second]);
  expect(order).toEqual(['first', 'second']);
  expect(disk.syncs).toHaveLength(1);
  journal.close();
});

test('a journal that is closed while it is synced keeps its descriptor until that is over', async () => {
  await using folder = await temporaryFolder('journal');
  const disk = new SlowDisk();
  const key = createSecretKey(randomBytes(32));
  const journal = Journal.create(join(folder.path, 'one'), key, header, disk.sync);
  const syncing = journal.sync();
  await disk.begun();
  const { fd, end } = disk.syncs[0]!;
  journal.close();
  await new Promise(setImmediate);
  expect(fstatSync(fd).size).toBeGreaterThan(0);
  end();
  await syncing;
  await new Promise(setImmediate);
  expect(() => fstatSync(fd)).toThrow('EBADF');
  await journal.sync();
  expect(disk.syncs).toHaveLength(1);
});

test('a batch counts as kept when it is on stable storage, not when it was taken', async () => {
  await using folder = await temporaryFolder('journal');
  const disk = new SlowDisk();
  const journal = Journal.create(
    join(folder.path, 'one'),
    createSecretKey(randomBytes(32)),
    header,
    disk.sync,
  );
  journal.batch(randomBytes(10));
  const syncing = journal.sync();
  await disk.begun();
  journal.batch(randomBytes(10));
  expect([journal.taken, journal.durable]).toEqual([2, 0]);
  disk.syncs[0]!.end();
  await syncing;
  expect([journal.taken, journal.durable]).toEqual([2, 1]);
  journal.close();
});

test('batches of a journal that is longer than memory for it are read again from its file', async () => {
  await using folder = await temporaryFolder('journal');
  const path = join(folder.path, 'one');
  const key = createSecretKey(randomBytes(32));
  const journal = Journal.create(path, key, header, () => Promise.resolve());
  const batches = Array.from({ length: 18 }, (_, at) => Buffer.alloc(1024 * 1024, at));
  for (const batch of batches) journal.batch(batch);
  await journal.sync();
  journal.close();
  await new Promise(setImmediate);
  using read = openJournal(path, key);
  for (const at of [0, 17, 3, 0]) expect(read.batches.at(at)!.every((byte) => byte === at)).toBe(true);
  expect(read.batches.at(18)).toBeUndefined();
  expect([...read.batches]).toHaveLength(18);
});
