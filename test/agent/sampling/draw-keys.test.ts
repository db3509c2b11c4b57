import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LedgerEntry, LedgerEvent } from '../../../agent/ledger/ledger.ts';
import { commitmentOf, openDrawKeys, uniformFor, uniformOf } from '../../../agent/sampling/draw-keys.ts';
import type { CallId } from '../../../config/units.ts';
import { temporaryFolder, type TemporaryFolder } from '../../peers/temporary-folder.ts';

const call = 'call-1' as CallId;

describe('the daily keys', () => {
  let folder: TemporaryFolder;
  let now: Date;
  let told: LedgerEvent[];
  let broken: boolean;
  beforeEach(async () => {
    folder = await temporaryFolder('draw-keys');
    now = new Date('2026-11-23T10:00:00Z');
    told = [];
    broken = false;
  });
  afterEach(() => folder[Symbol.asyncDispose]());

  const open = () =>
    openDrawKeys({
      directory: join(folder.path, 'keys'),
      clock: () => now,
      ledger: {
        append: (event) => {
          if (broken) return Promise.reject(new Error('disk full'));
          told.push(event);
          return Promise.resolve({} as LedgerEntry);
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
    });
  const of = <Kind extends LedgerEvent['kind']>(kind: Kind) =>
    told.filter((event): event is Extract<LedgerEvent, { kind: Kind }> => event.kind === kind);

  test('today and tomorrow are committed at the first start, each before it is used', async () => {
    using keys = await open();
    expect(of('sampling.key-committed').map(({ day }) => day)).toEqual(['2026-11-23', '2026-11-24']);
    expect(keys.uniform(call, '2026-11-23')?.key).toBe(of('sampling.key-committed')[0]!.key);
    expect(keys.uniform(call, '2026-11-25')).toBeUndefined();
  });

  test('over midnight: the old key is revealed, the one committed the day before is used', async () => {
    using keys = await open();
    const before = keys.uniform(call, '2026-11-23')!;
    const next = keys.uniform(call, '2026-11-24')!;
    now = new Date('2026-11-24T00:00:00Z');
    await keys.turn();
    const [revealed] = of('sampling.key-revealed');
    expect(revealed).toMatchObject({ day: '2026-11-23', key: before.key });
    const secret = Buffer.from(revealed!.secret, 'hex');
    expect(commitmentOf(secret)).toBe(of('sampling.key-committed')[0]!.commitment);
    expect(uniformOf(secret, call)).toBe(before.uniform);
    expect(keys.uniform(call, '2026-11-24')).toEqual(next);
    expect(keys.uniform(call, '2026-11-23')).toBeUndefined();
    expect(of('sampling.key-committed').map(({ day }) => day)).toEqual([
      '2026-11-23',
      '2026-11-24',
      '2026-11-25',
    ]);
  });

  test('a restart on the same day changes nothing', async () => {
    const first = (await open()).uniform(call, '2026-11-23');
    expect((await open()).uniform(call, '2026-11-23')).toEqual(first);
    expect(of('sampling.key-committed')).toHaveLength(2);
  });

  test('an agent that was down over midnight reveals what is over when it is back', async () => {
    await open();
    now = new Date('2026-11-27T08:00:00Z');
    await open();
    expect(of('sampling.key-revealed').map(({ day }) => day)).toEqual(['2026-11-23', '2026-11-24']);
    expect(
      of('sampling.key-committed')
        .map(({ day }) => day)
        .slice(2),
    ).toEqual(['2026-11-27', '2026-11-28']);
  });

  test('agents have keys of their own', async () => {
    const one = (await open()).uniform(call, '2026-11-23')!;
    await using other = await temporaryFolder('draw-keys');
    using keys = await openDrawKeys({
      directory: other.path,
      clock: () => now,
      ledger: {
        append: () => Promise.resolve({} as LedgerEntry),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
    });
    expect(keys.uniform(call, '2026-11-23')!.uniform).not.toBe(one.uniform);
  });

  test('a key that could not be committed is not used', async () => {
    using keys = await open();
    now = new Date('2026-11-24T00:00:01Z');
    broken = true;
    await expect(keys.turn()).rejects.toThrow('disk full');
    now = new Date('2026-11-25T00:00:01Z');
    await expect(keys.turn()).rejects.toThrow('disk full');
    expect(keys.uniform(call, '2026-11-25')).toBeUndefined();
    broken = false;
    await keys.turn();
    expect(keys.uniform(call, '2026-11-25')).toBeDefined();
    expect(of('sampling.key-revealed').map(({ day }) => day)).toEqual(['2026-11-23', '2026-11-24']);
  });

  test('nobody but the owner reads them, and their names tell no more than the ledger', async () => {
    using _keys = await open();
    const directory = join(folder.path, 'keys');
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    const names = await readdir(directory);
    for (const name of names) expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
    expect(names.toSorted()).toEqual(of('sampling.key-committed').map(({ day, key }) => `${day}-${key}.key`));
  });
});

test('the prepared number of a key is the HMAC of each call, however long its id', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      fc.string({ unit: 'binary', maxLength: 400 }),
      (key, call) => {
        const secret = Buffer.from(key);
        expect(uniformFor(secret)(call)).toBe(uniformOf(secret, call));
      },
    ),
    { numRuns: 50 },
  );
});
