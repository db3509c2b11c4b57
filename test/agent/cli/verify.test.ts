import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StoreEvidence, StoredRecording } from '../../../agent/cli/audit.ts';
import { verify } from '../../../agent/cli/verify.ts';
import type { LedgerEntry, LedgerEvent } from '../../../agent/ledger/ledger.ts';
import { openLedger } from '../../../agent/ledger/open.ts';
import type { CallId, EpochMicros, RecordingId } from '../../../config/units.ts';

const call = 'call-1' as CallId;
const recording = 'recording-1' as RecordingId;
const now = new Date('2026-12-01T00:00:00Z');
const destroyedAt = '2026-11-23T10:05:00.000Z';

const decided: Extract<LedgerEvent, { kind: 'call.decided' }> = {
  kind: 'call.decided',
  call,
  campaign: 'support',
  direction: 'inbound',
  selected: true,
  reason: 'quota',
  rate: 0.3,
  epoch: '2026-11',
  basis: { eligible: 0, recorded: 0, open: 0 },
  draw: {
    key: 'k',
    uniform: 0,
    run: 'r',
    sequence: 1,
    ppm: 300_000,
    capPpm: 450_000,
    dailyGuard: undefined,
    credit: 0,
    announceCredit: 0,
    today: 0,
  },
  mode: 'object',
  law: ['FR-consumer-quality@2026-11-23'],
  parties: { caller: 'a', agent: 'b' },
};
const told: LedgerEvent = {
  kind: 'call.told',
  call,
  prompt: 'fr-object',
  hash: 'ab',
  heardMs: 5_000,
  durationMs: 5_000,
  complete: true,
};
const allowed: Extract<LedgerEvent, { kind: 'recording.allowed' }> = {
  kind: 'recording.allowed',
  call,
  recording,
  campaign: 'support',
  purpose: 'training',
  class: 'quality',
  legalBasis: 'legitimate-interest',
  controller: 'Exemple',
  law: ['FR-consumer-quality@2026-11-23'],
  retainUntil: '2027-05-23T10:00:00.000Z',
};
const closed: LedgerEvent = {
  kind: 'recording.closed',
  call,
  recording,
  reason: 'hangup',
  packets: { caller: 10, agent: 10 },
};
const refused: LedgerEvent = {
  kind: 'call.refused',
  call,
  by: { by: 'key', digit: '2', at: 1_000_000 as EpochMicros },
};
const destroyed: LedgerEvent = {
  kind: 'recording.destroyed',
  call,
  recording,
  reason: 'refused',
  proof: 'p',
};
const story = [decided, told, allowed, closed];

describe('verify', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tacet-verify-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function write(events: LedgerEvent[]): Promise<LedgerEntry[]> {
    await using ledger = await openLedger({
      directory,
      site: 'test',
      clock: () => new Date('2026-11-23T10:00:00Z'),
    });
    const entries: LedgerEntry[] = [];
    for (const event of events) entries.push(await ledger.append(event));
    return entries;
  }

  async function check(store: StoreEvidence): Promise<{ status: number; lines: string[] }> {
    let text = '';
    const status = await verify(
      { ledgerDirectory: directory, store, now },
      { write: (more) => (text += more) },
    );
    return { status, lines: text.trimEnd().split('\n') };
  }

  function storedAs(
    entries: LedgerEntry[],
    changes: Partial<StoredRecording['header']> = {},
  ): StoredRecording {
    const { kind: _kind, ...header } = allowed;
    const allowedBy = entries.find(({ event }) => event.kind === 'recording.allowed')?.hash ?? '';
    const firstPacketAt = Date.parse('2026-11-23T10:00:00.020Z') * 1_000;
    return { header: { ...header, allowedBy, ...changes }, state: 'complete', firstPacketAt };
  }

  test('a call that was drawn, told, allowed and kept is sound', async () => {
    const entries = await write(story);
    const { status, lines } = await check({ recordings: [storedAs(entries)], tombstones: [] });
    expect(lines).toEqual([`sound: 4 entries, 1 recordings; head ${entries[3]!.hash}`]);
    expect(status).toBe(0);
  });

  test('a refused call whose recording is destroyed with proof is sound', async () => {
    await write([decided, told, allowed, refused, destroyed]);
    expect(
      await check({ recordings: [], tombstones: [{ recording, destroyedAt, proof: 'p' }] }),
    ).toMatchObject({
      status: 0,
    });
  });

  test('a recording that broke off, and one that goes on, need no end in the ledger', async () => {
    const entries = await write([decided, told, allowed]);
    for (const state of ['interrupted', 'open'] as const) {
      const { status } = await check({ recordings: [{ ...storedAs(entries), state }], tombstones: [] });
      expect(status).toBe(0);
    }
  });

  test('a recording that the store erased when its time came is sound', async () => {
    await write(story);
    expect(
      await check({ recordings: [], tombstones: [{ recording, destroyedAt, proof: 'p' }] }),
    ).toMatchObject({
      status: 0,
    });
  });

  const mandated: LedgerEvent = {
    ...allowed,
    retainUntil: '2026-12-24T10:00:00.000Z',
    afterSignatureMonths: 24,
  };
  const signed = { signedOn: '2026-11-30', retainUntil: '2028-11-30T23:59:59.999Z' };
  const retained: Extract<LedgerEvent, { kind: 'recording.retained' }> = {
    kind: 'recording.retained',
    recording,
    ...signed,
    by: 'ann',
    reference: 'contract 4711',
    retainedAt: '2026-12-01T09:00:00.000Z',
  };
  const withContract = [decided, told, mandated, closed, retained];
  /** As the store has it, with the contract that it was told of. */
  const keptAs = (e: LedgerEntry[], contract: typeof signed | null = signed): StoreEvidence => {
    const { retainUntil, afterSignatureMonths } = mandated;
    const header = { retainUntil, ...(afterSignatureMonths === undefined ? {} : { afterSignatureMonths }) };
    return { recordings: [{ ...storedAs(e, header), contract: contract ?? undefined }], tombstones: [] };
  };

  test('a recording that is kept for a contract as its law says is sound, and so is one whose day was put right', async () => {
    const wrong = { ...retained, signedOn: '2026-11-29', retainUntil: '2028-11-29T23:59:59.999Z' };
    const entries = await write([...withContract.slice(0, -1), wrong, retained]);
    expect(await check(keptAs(entries))).toMatchObject({ status: 0 });
  });

  test.each<[string, LedgerEvent[], (entries: LedgerEntry[]) => StoreEvidence, string]>([
    [
      'is kept for a contract of which nobody told the ledger',
      withContract.slice(0, -1),
      (e) => keptAs(e),
      'is kept for a contract that the ledger does not know (or not yet, while no agent runs)',
    ],
    [
      'is kept for a contract, which its law does not ask for',
      [...story, retained],
      (e) => ({ recordings: [{ ...storedAs(e), contract: signed }], tombstones: [] }),
      'is kept for a contract, which its law does not ask for',
    ],
    [
      'is kept for longer than its law says',
      [...withContract.slice(0, -1), { ...retained, retainUntil: '2031-11-30T23:59:59.999Z' }],
      (e) => keptAs(e, { ...signed, retainUntil: '2031-11-30T23:59:59.999Z' }),
      'is kept until 2031-11-30T23:59:59.999Z, not 24 months from 2026-11-30',
    ],
    [
      'was to be gone before its contract was signed',
      [
        ...withContract.slice(0, -1),
        { ...retained, signedOn: '2027-01-10', retainUntil: '2029-01-10T23:59:59.999Z' },
      ],
      (e) => keptAs(e, { signedOn: '2027-01-10', retainUntil: '2029-01-10T23:59:59.999Z' }),
      'is kept for a contract of 2027-01-10, when it was to be erased by 2026-12-24T10:00:00.000Z',
    ],
    [
      'would be erased before its contract lets it',
      withContract,
      (e) => keptAs(e, null),
      'is kept until 2026-12-24T10:00:00.000Z by the store, but for its contract until 2028-11-30T23:59:59.999Z',
    ],
    [
      'was erased before its contract let it',
      withContract,
      () => ({
        recordings: [],
        tombstones: [{ recording, destroyedAt: '2026-12-24T10:00:01.000Z', proof: 'p' }],
      }),
      'was erased at 2026-12-24T10:00:01.000Z, though its contract keeps it until 2028-11-30T23:59:59.999Z',
    ],
    [
      'names another time after a signature',
      story,
      (e) => ({ recordings: [storedAs(e, { afterSignatureMonths: 24 })], tombstones: [] }),
      'names another time after a signature than the ledger',
    ],
    [
      'nobody allowed',
      [decided, told],
      (e) => ({ recordings: [storedAs(e)], tombstones: [] }),
      'was never allowed by the ledger',
    ],
    [
      'was not drawn',
      [
        { ...decided, selected: false, draw: { ...decided.draw!, uniform: 2 ** 32 - 1 } },
        told,
        allowed,
        closed,
      ],
      (e) => ({ recordings: [storedAs(e)], tombstones: [] }),
      'is of a call that was not selected',
    ],
    [
      'was not told',
      [decided, allowed, closed],
      (e) => ({ recordings: [storedAs(e)], tombstones: [] }),
      'was allowed before its announcement had been heard to the end',
    ],
    [
      'was told too late',
      [decided, allowed, told, closed],
      (e) => ({ recordings: [storedAs(e)], tombstones: [] }),
      'was allowed before its announcement had been heard to the end',
    ],
    [
      'was told in part',
      [decided, { ...told, complete: false }, allowed, closed],
      (e) => ({ recordings: [storedAs(e)], tombstones: [] }),
      'was allowed before its announcement had been heard to the end',
    ],
    [
      'was refused',
      [...story, refused],
      (e) => ({ recordings: [storedAs(e)], tombstones: [] }),
      'is of a call that was refused',
    ],
    [
      'should be destroyed',
      [...story, destroyed],
      (e) => ({ recordings: [storedAs(e)], tombstones: [] }),
      'was destroyed according to the ledger, but is in the store',
    ],
    [
      'came back',
      story,
      (e) => ({ recordings: [storedAs(e)], tombstones: [{ recording, destroyedAt, proof: 'p' }] }),
      'has a tombstone, but is in the store',
    ],
    [
      'leans on another entry',
      story,
      (e) => ({ recordings: [storedAs(e, { allowedBy: e[0]!.hash })], tombstones: [] }),
      'names another ledger entry than the one that allowed it',
    ],
    [
      'changed its purpose',
      story,
      (e) => ({ recordings: [storedAs(e, { purpose: 'complaint' })], tombstones: [] }),
      'says purpose "complaint", the ledger allowed "training"',
    ],
    [
      'is kept for longer',
      story,
      (e) => ({ recordings: [storedAs(e, { retainUntil: '2030-01-01T00:00:00Z' })], tombstones: [] }),
      'is kept until 2030-01-01T00:00:00Z, longer than the ledger allowed (2027-05-23T10:00:00.000Z)',
    ],
    [
      'is overdue',
      story,
      (e) => ({ recordings: [storedAs(e, { retainUntil: '2026-11-30T00:00:00Z' })], tombstones: [] }),
      'is overdue: it was to be erased by 2026-11-30T00:00:00Z',
    ],
    [
      'began early',
      story,
      (e) => ({
        recordings: [{ ...storedAs(e), firstPacketAt: Date.parse('2026-11-23T09:59:59Z') * 1_000 }],
        tombstones: [],
      }),
      'has audio from before it was allowed',
    ],
    [
      'is lost',
      story,
      () => ({ recordings: [], tombstones: [] }),
      'was closed, but is not in the store (lost, or still in the spool)',
    ],
    [
      'has no end',
      [decided, told, allowed],
      () => ({ recordings: [], tombstones: [] }),
      'has no end: not closed, failed or destroyed, and not in the store',
    ],
    [
      'was destroyed without proof',
      [...story, destroyed],
      () => ({ recordings: [], tombstones: [] }),
      'was destroyed according to the ledger, but the store has no tombstone of it',
    ],
    [
      'was destroyed with another proof',
      [...story, destroyed],
      () => ({ recordings: [], tombstones: [{ recording, destroyedAt, proof: 'q' }] }),
      'has another proof of its destruction in the ledger than in the store',
    ],
  ])('a recording that %s is found', async (_, events, store, reason) => {
    const { status, lines } = await check(store(await write(events)));
    expect(lines).toContain(`recording ${recording} ${reason}`);
    expect(lines.at(-1)).toMatch(/^NOT SOUND/u);
    expect(status).toBe(1);
  });

  test.each<[boolean, Partial<typeof decided>, string]>([
    [true, { draw: { ...decided.draw!, credit: -400_000 } }, 'was selected against its draw'],
    [true, { draw: { ...decided.draw!, uniform: 2 ** 31 } }, 'was selected against its draw'],
    [false, {}, 'was passed over against its draw'],
    [true, { draw: undefined }, 'was selected without a draw'],
    [true, { reason: 'unavailable' }, 'was selected though its draw was not granted'],
    [true, { rate: 0.2 }, 'was drawn at a higher rate than its entry names'],
  ])('a draw that contradicts itself is found (selected: %s)', async (selected, changes, reason) => {
    await write([{ ...decided, selected, ...changes }]);
    const { status, lines } = await check({ recordings: [], tombstones: [] });
    expect(lines[0]).toBe(`call ${call} ${reason}`);
    expect(status).toBe(1);
  });

  test('a changed ledger is found, by line, and as JSON', async () => {
    const entries = await write(story);
    const file = join(directory, '000001.jsonl');
    await writeFile(file, (await readFile(file, 'utf8')).replace('"complete":true', '"complete":false'));
    const { status, lines } = await check({ recordings: [storedAs(entries)], tombstones: [] });
    expect(status).toBe(1);
    expect(lines[0]).toBe('ledger line 2 (entry 2) was changed: its hash is another');
    let json = '';
    await verify({ ledgerDirectory: directory, json: true }, { write: (more) => (json += more) });
    expect(JSON.parse(json)).toMatchObject({
      sound: false,
      entries: 4,
      faults: [{ line: 2, sequence: 2 }],
      findings: [],
    });
  });

  test('a ledger that was written anew shows against the key that the auditor holds', async () => {
    await write(story);
    const held = join(directory, 'held.pub');
    await writeFile(held, await readFile(join(directory, 'ledger.pub')));
    for (const name of ['000001.jsonl', 'ledger.pub', 'ledger.key']) await rm(join(directory, name));
    await write(story);
    const ignored = { write: () => true };
    expect(await verify({ ledgerDirectory: directory }, ignored)).toBe(0);
    expect(await verify({ ledgerDirectory: directory, publicKeyFile: held }, ignored)).toBe(1);
  });
});
