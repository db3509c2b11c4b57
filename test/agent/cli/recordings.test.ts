import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { expect, test } from 'vitest';
import { keepContract, NotKept } from '../../../agent/cli/keep-contract.ts';
import { recordings } from '../../../agent/cli/recordings-command.ts';
import { settleOwed, type OwedEvent } from '../../../agent/ledger/owed.ts';
import type { CallId, EpochMicros, RecordingId } from '../../../config/units.ts';
import { BatchWriter } from '../../../media/fork/batch.ts';
import type { RecordingHeader } from '../../../media/fork/sink.ts';
import { RecordingUnreadable } from '../../../media/store/reader.ts';
import { Vault } from '../../../media/store/vault.ts';
import { rtpPacket } from '../../peers/pcap.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';
import { rtpStreamsIn } from '../../peers/tshark.ts';

const startedAt = 1_790_000_000_000_000 as EpochMicros;
const packets = 50;

/** A recording of a second, both sides in the codec of this payload type. */
async function keep(
  directory: string,
  id: string,
  type: number,
  rtpmap: string,
  law: Partial<RecordingHeader> = {},
): Promise<void> {
  await using vault = new Vault({ directory });
  const codecs = { [type]: rtpmap };
  const header = {
    recording: id as RecordingId,
    call: 'call-1' as CallId,
    campaign: 'support-fr',
    purpose: 'training',
    class: 'quality',
    legalBasis: 'legitimate-interest',
    controller: 'Marco SA',
    law: [],
    retainUntil: '2099-01-01T00:00:00.000Z',
    allowedBy: 'a'.repeat(64),
    startedAt,
    codecs: { caller: codecs, agent: codecs },
    parties: { caller: 'p1', agent: 'p2' },
    ...law,
  };
  vault.begin(header, { agent: 'a', boot: 'b' });
  const writer = new BatchWriter();
  for (let turn = 0; turn < packets; turn++)
    for (const [index, side] of (['caller', 'agent'] as const).entries()) {
      const payload = new Uint8Array(20).fill(turn);
      const numbers = { sequence: 65_530 + turn, timestamp: turn * 160, ssrc: index + 1 };
      const packet = rtpPacket({ type, marker: turn === 0, ...numbers, payload });
      writer.append(turn * 2 + index, side, startedAt + turn * 20_000, packet, 0, packet.length);
    }
  vault.take(id, 0, writer.take());
  await vault.finish(id, undefined);
}

test('what we cannot decode is exported as a capture in which tshark finds both streams whole', async () => {
  await using home = await temporaryFolder('recordings');
  const store = join(home.path, 'data', 'store');
  await mkdir(store, { recursive: true });
  await keep(store, 'in-g729', 18, 'G729/8000');
  await keep(store, 'in-g711', 8, 'PCMA/8000');
  const config = join(home.path, 'tacet.yaml');
  await writeFile(config, stringify({ ...site, dataDir: join(home.path, 'data') }));
  await writeFile(join(home.path, 'campaigns.yaml'), stringify({ campaigns: [] }));
  const file = join(home.path, 'call.pcap');
  const words = (id: string) => ['export', id, '--rtp', '--out', file, '--config', config];
  const ask = (id: string) => recordings([...words(id), '--reason', 'complaint 12']);

  expect(await ask('in-g729')).toBe(0);
  const streams = await rtpStreamsIn(file);
  const whole = { payload: 'g729', packets, lost: 0, problems: '' };
  const [caller, agent] = ['192.0.2.1', '192.0.2.2'];
  expect(streams.sort((a, b) => a.ssrc.localeCompare(b.ssrc))).toMatchObject([
    { ...whole, source: { address: caller }, destination: { address: agent }, ssrc: '0x00000001' },
    { ...whole, source: { address: agent }, destination: { address: caller }, ssrc: '0x00000002' },
  ]);
  const owed: OwedEvent[] = [];
  await using settling = settleOwed({
    dataDir: join(home.path, 'data'),
    append: (event) => Promise.resolve(owed.push(event)),
    onTrouble: (_file, why) => expect.unreachable(why),
  });
  await settling[Symbol.asyncDispose]();
  expect(owed).toMatchObject([{ recording: 'in-g729', by: userInfo().username, reason: 'complaint 12' }]);
  expect(await readdir(join(home.path, 'data', 'owed'))).toEqual([]);
  await rm(file);
  expect(await recordings(words('in-g729'))).toBe(2);
  expect(existsSync(file)).toBe(false);
  await expect(ask('in-g711')).rejects.toThrow(RecordingUnreadable);
  await expect(ask('none')).rejects.toThrow(RecordingUnreadable);
});

test('a contract keeps what its law says, from a day that can be: what is erased then is erased then', async () => {
  await using home = await temporaryFolder('recordings');
  const dataDir = join(home.path, 'data');
  const store = join(dataDir, 'store');
  await mkdir(store, { recursive: true });
  const law = { retainUntil: '2026-10-22T10:00:00.000Z', afterSignatureMonths: 24, law: ['FR-insurance'] };
  await keep(store, 'sold', 8, 'PCMA/8000', law);
  await keep(store, 'other', 8, 'PCMA/8000', { retainUntil: law.retainUntil });
  await using vault = new Vault({ directory: store });
  const called = new Date(startedAt / 1_000).toISOString().slice(0, 10);
  const now = new Date('2026-10-20T12:00:00Z');
  const contract = { reference: 'contract 4711', by: 'ann' };
  const ask = (recording: string, signedOn: string) =>
    keepContract(dataDir, { recording, signedOn, ...contract }, now);

  for (const [recording, signedOn, why] of [
    ['none', called, 'there is none of that name'],
    ['other', called, 'no law that it was made under'],
    ['sold', '2026-01-01', `before the call of ${called}`],
    ['sold', '2026-10-21', 'has not come yet'],
  ] as const)
    await expect(ask(recording, signedOn)).rejects.toThrow(why);
  expect(existsSync(join(dataDir, 'owed'))).toBe(false);

  await ask('sold', '2026-10-19');
  expect(await ask('sold', '2026-10-20')).toBe('2028-10-20T23:59:59.999Z');
  expect(await readdir(join(dataDir, 'owed'))).toHaveLength(2);
  // The store runs on beside the command, and goes by the new date.
  const erased = (at: string) => vault.sweep(new Date(at)).map(({ recording }) => recording);
  expect(erased('2028-10-20T23:59:59.000Z')).toEqual(['other']);
  expect(erased('2028-10-21T00:00:00.000Z')).toEqual(['sold']);
  await expect(ask('sold', '2026-10-20')).rejects.toThrow(NotKept);
});

const site = {
  site: 'test',
  campaigns: 'campaigns.yaml',
  sip: { listen: [{ address: '127.0.0.1', port: 5060 }] },
  trunks: [{ name: 'carrier', sources: ['127.0.0.1'], uri: 'sip:127.0.0.1:5070', routes: ['pbx'] }],
  pbxs: [{ name: 'pbx', sources: ['127.0.0.2'], uri: 'sip:127.0.0.2:5070', routes: ['carrier'] }],
  media: { ports: { min: 20_000, max: 20_100 } },
};
