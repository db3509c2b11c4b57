import fc from 'fast-check';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { CallId, EpochMicros, RecordingId } from '../../../config/units.ts';
import type { RecordingEnd, RecordingHeader } from '../../../media/fork/sink.ts';
import { Journal } from '../../../media/store/journal.ts';
import { KeyRing } from '../../../media/store/keyring.ts';
import { openStoreReader } from '../../../media/store/reader.ts';
import { Vault } from '../../../media/store/vault.ts';
import { rtpPacket } from '../../peers/pcap.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';
import { batchOf } from '../fork/batch-of.ts';

const startedAt = 1_790_000_000_000_000 as EpochMicros;
const recording = 'recording-1' as RecordingId;
const from = { agent: 'site', boot: 'one' };
const header: RecordingHeader = {
  recording,
  call: 'call-1' as CallId,
  campaign: 'support-fr',
  purpose: 'training',
  class: 'quality',
  legalBasis: 'legitimate-interest',
  controller: 'Marco SA',
  law: ['FR-consumer-quality@2026-11-23'],
  retainUntil: '2099-01-01T00:00:00.000Z',
  allowedBy: 'a'.repeat(64),
  startedAt,
  codecs: { caller: { 8: 'PCMA/8000' }, agent: { 8: 'PCMA/8000' } },
  parties: { caller: 'p1', agent: 'p2' },
};
const turns = 100;
const both = { caller: turns, agent: 0 };
const end: RecordingEnd = {
  reason: 'hangup',
  totals: { stoppedAt: (startedAt + turns * 20_000) as EpochMicros, packets: both, bytes: both },
};

function speech(): Uint8Array {
  return batchOf(
    Array.from({ length: turns }, (_, turn) => ({
      sequence: turn,
      side: 'caller',
      arrivedAt: (startedAt + turn * 20_000) as EpochMicros,
      rtp: rtpPacket({
        type: 8,
        marker: false,
        sequence: turn,
        timestamp: turn * 160,
        ssrc: 1,
        payload: new Uint8Array(160),
      }),
    })),
  );
}

function left(directory: string): string[] {
  return ['journal', 'objects', 'keys']
    .flatMap((part) => readdirSync(join(directory, part)))
    .filter((file) => file.includes(recording));
}

test('a recording that is destroyed while its artefact is made leaves nothing', async () => {
  await using folder = await temporaryFolder('vault');
  await using vault = new Vault({ directory: folder.path });
  vault.begin(header, from);
  vault.take(recording, 0, speech());
  const finished = vault.finish(recording, end);
  const receipt = vault.destroy(recording, 'refused');
  await finished;
  expect(left(folder.path)).toEqual([]);
  expect(vault.tombstones()).toMatchObject([{ receipt }]);
  expect(vault.begin(header, from)).toBe('destroyed');
});

test('a recording whose store ended before its artefact was made is complete when the store is back', async () => {
  await using folder = await temporaryFolder('vault');
  {
    await using vault = new Vault({ directory: folder.path });
    vault.begin(header, from);
    vault.take(recording, 0, speech());
  }
  const { journal } = Journal.resume(
    join(folder.path, 'journal', `${recording}.journal`),
    new KeyRing(folder.path).open(recording),
  );
  journal.end(end);
  journal.close();
  await using vault = new Vault({ directory: folder.path });
  await vault.finish(recording, undefined);
  using reader = openStoreReader(folder.path);
  expect(reader.recordings()).toMatchObject([
    { state: 'complete', details: { durationMs: 2_000, storedMs: { caller: 2_000, agent: 0 } } },
  ]);
});

test('two who ask for the same recording to be finished get one artefact', async () => {
  await using folder = await temporaryFolder('vault');
  await using vault = new Vault({ directory: folder.path });
  vault.begin(header, from);
  vault.take(recording, 0, speech());
  const first = vault.finish(recording, end);
  expect(vault.begin(header, from)).toBe('finished');
  await Promise.all([first, vault.finish(recording, undefined)]);
  using reader = openStoreReader(folder.path);
  expect(reader.recordings()).toMatchObject([{ state: 'complete', details: { end } }]);
  expect(left(folder.path).toSorted()).toEqual([
    `${recording}.json.sealed`,
    `${recording}.key`,
    `${recording}.wav.sealed`,
  ]);
});

test('a store that dies while it writes a journal goes on with what is whole of it, from the first byte on', async () => {
  await using folder = await temporaryFolder('vault');
  const path = join(folder.path, 'journal', `${recording}.journal`);
  const open = (): Vault => new Vault({ directory: folder.path });
  {
    await using vault = open();
    vault.begin(header, from);
    for (let number = 0; number < 3; number += 1) {
      vault.take(recording, number, speech());
      await vault.sync(recording);
    }
  }
  const whole = readFileSync(path);
  const key = readFileSync(join(folder.path, 'keys', `${recording}.key`));
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length), fc.constantFrom(0, 3, 5_000), async (bytes, zeros) => {
      // After a power failure a file may be as long as it was to be, and zero from some byte on.
      writeFileSync(path, Buffer.concat([whole.subarray(0, bytes), Buffer.alloc(zeros)]));
      writeFileSync(join(folder.path, 'keys', `${recording}.key`), key);
      await using vault = open();
      const position = vault.begin(header, from);
      expect(position).toBeOneOf([0, 1, 2, 3]);
      for (let number = Number(position); number < 4; number += 1)
        expect(vault.take(recording, number, speech())).toBe('taken');
      expect(await vault.sync(recording)).toBe(4);
    }),
    {
      numRuns: 60,
      examples: [
        [0, 0],
        [1, 0],
        [whole.length, 0],
      ],
    },
  );
  await using vault = open();
  await vault.finish(recording, end);
  using reader = openStoreReader(folder.path);
  expect(reader.recordings()).toMatchObject([
    { state: 'complete', details: { storedMs: { caller: 2_000 } } },
  ]);
});

test('a recording of which the store had written nothing when it died is an empty one when its agent does not come back', async () => {
  await using folder = await temporaryFolder('vault');
  {
    await using vault = new Vault({ directory: folder.path });
    vault.begin(header, from);
  }
  writeFileSync(join(folder.path, 'journal', `${recording}.journal`), '');
  await using vault = new Vault({ directory: folder.path });
  await vault.finish(recording, undefined);
  using reader = openStoreReader(folder.path);
  expect(reader.recordings()).toMatchObject([
    { state: 'interrupted', details: { storedMs: { caller: 0, agent: 0 } } },
  ]);
  expect(vault.orphans()).toEqual({ files: [], rows: [] });
});
