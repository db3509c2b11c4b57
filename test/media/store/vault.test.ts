import { readdirSync } from 'node:fs';
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
