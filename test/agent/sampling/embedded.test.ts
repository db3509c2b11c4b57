import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AlreadyRunning } from '../../../agent/ledger/writer-lock.ts';
import { openEmbeddedSampler } from '../../../agent/sampling/embedded.ts';
import { JournalCorrupt } from '../../../agent/sampling/journal.ts';
import type { Sampler } from '../../../agent/sampling/sampler.ts';
import { Tally } from '../../../agent/sampling/tally.ts';
import type { CallId, Rate } from '../../../config/units.ts';
import { leaseMs, samplerContract, uniform } from './contract.ts';

const half = { name: 'support', rate: 0.5 as Rate };
const full = { name: 'support', rate: 1 as Rate };

samplerContract(async (clock) => {
  const directory = await mkdtemp(join(tmpdir(), 'tacet-sampling-'));
  // So small that the journal is begun anew many times.
  const open = (): Promise<Sampler> =>
    openEmbeddedSampler({
      directory,
      uniform,
      leaseMs,
      clock: () => clock.now,
      compactBytes: 2_000,
      timeoutMs: 10_000,
      lingerMs: 0,
    });
  let sampler = await open();
  return {
    clients: () => Promise.resolve([sampler]),
    async restart() {
      await sampler[Symbol.asyncDispose]();
      sampler = await open();
    },
    async [Symbol.asyncDispose]() {
      await sampler[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
});

describe('the embedded sampler', () => {
  let directory: string;
  let journal: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tacet-sampling-'));
    journal = join(directory, 'sampling.journal');
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function converse(calls: number): Promise<void> {
    await using sampler = await openEmbeddedSampler({ directory, uniform, lingerMs: 0 });
    for (let call = 0; call < calls; call += 1) {
      const draw = await sampler.reserve(full, crypto.randomUUID() as CallId);
      await sampler.settle(draw, draw.selected ? 'recorded' : 'not-recorded');
    }
  }

  test('a torn last line is passed over: what it said was never answered', async () => {
    await converse(4);
    await appendFile(journal, '1234abcd {"step":"open","ca');
    await using sampler = await openEmbeddedSampler({ directory, uniform });
    expect(await sampler.counts('support')).toEqual({ eligible: 4, recorded: 4, open: 0 });
  });

  test('a damaged line in the middle is refused', async () => {
    await converse(4);
    await writeFile(
      journal,
      (await readFile(journal, 'utf8')).replace('"outcome":"recorded"', '"outcome":"recordEd"'),
    );
    await expect(openEmbeddedSampler({ directory, uniform })).rejects.toThrow(JournalCorrupt);
  });

  test('one process counts', async () => {
    await using _sampler = await openEmbeddedSampler({ directory, uniform });
    await expect(openEmbeddedSampler({ directory, uniform })).rejects.toThrow(AlreadyRunning);
  });

  /** Conversations one after the other, so long apart. @returns how often the journal was begun anew */
  async function converseFor(calls: number, apartMs: number, compactBytes: number): Promise<number> {
    let time = Date.UTC(2026, 10, 1);
    await using sampler = await openEmbeddedSampler({
      directory,
      uniform,
      compactBytes,
      lingerMs: 0,
      clock: () => new Date((time += apartMs / 2)),
    });
    let [begun, inode] = [0, (await stat(journal)).ino];
    for (let call = 0; call < calls; call += 1) {
      const draw = await sampler.reserve(half, crypto.randomUUID() as CallId);
      await sampler.settle(draw, draw.selected ? 'recorded' : 'not-recorded');
      const { ino } = await stat(journal);
      if (ino !== inode) begun += 1;
      inode = ino;
    }
    expect(await sampler.counts('support')).toMatchObject({ eligible: calls, open: 0 });
    return begun;
  }

  test('the journal stays small, however many calls a day has', async () => {
    await converseFor(2_000, 1_000, 4_000);
    // Those of five minutes, twice: as a snapshot, and as the steps after it.
    expect((await stat(journal)).size).toBeLessThan(2 * 300 * 200);
    await using sampler = await openEmbeddedSampler({ directory, uniform });
    expect((await sampler.counts('support'))?.eligible).toBe(2_000);
  });

  test('a snapshot that is longer than the journal should be is not written with every step', async () => {
    expect(await converseFor(1_000, 2, 1_000)).toBeLessThan(15);
  });

  test('a settlement that was written after a snapshot, hours late, counts once', () => {
    const place = {
      call: 'late',
      campaign: 'support',
      epoch: '2026-11',
      day: '2026-11-01',
      ppm: 1,
      capPpm: 1,
      at: 0,
    };
    const settlement = { ...place, step: 'settle', outcome: 'not-recorded' } as const;
    const before = { settled: 3_600_000, ended: 0, epoch: '2026-11' };
    const counted = (unwritten: string[]) => {
      const [tally, restarted] = [new Tally(leaseMs), new Tally(leaseMs)];
      tally.apply(settlement);
      tally.forget(before, new Set(unwritten));
      restarted.restore(tally.snapshot());
      restarted.apply(settlement);
      return restarted.counts('support', '2026-11', 3_600_000).eligible;
    };
    expect(counted(['late'])).toBe(1);
    // Forgotten, it would count again: what the list is for.
    expect(counted([])).toBe(2);
  });

  test('every selection that was answered survives SIGKILL, and the ceiling with it', async () => {
    const module = JSON.stringify(new URL('../../../agent/sampling/embedded.ts', import.meta.url).href);
    const program = `
      const { openEmbeddedSampler } = await import(${module});
      const sampler = await openEmbeddedSampler({ directory: process.argv[1], uniform: () => ({ key: 'k', uniform: Math.floor(Math.random() * 2 ** 32) }), timeoutMs: 10_000, compactBytes: 3_000 });
      for (;;) {
        const draw = await sampler.reserve({ name: 'support', rate: 0.5 }, crypto.randomUUID());
        if (draw.selected) process.stdout.write('selected\\n');
        sampler.settle(draw, draw.selected ? 'recorded' : 'not-recorded');
        await new Promise(setImmediate);
      }`;
    let selected = 0;
    for (const limit of [30, 60]) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exit = once(child, 'exit');
      for await (const _line of createInterface(child.stdout)) {
        selected += 1;
        if (selected === limit) child.kill('SIGKILL');
      }
      await exit;
    }
    await using sampler = await openEmbeddedSampler({ directory, uniform });
    const { eligible, recorded, open } = (await sampler.counts('support'))!;
    expect(recorded + open).toBeGreaterThanOrEqual(selected);
    expect(recorded + open).toBeLessThanOrEqual(0.5 * (eligible + open) + 1);
  });
});
