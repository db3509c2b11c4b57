import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readPublicKey } from '../../../agent/ledger/keys.ts';
import { LedgerBroken, LedgerUnavailable, type LedgerEvent } from '../../../agent/ledger/ledger.ts';
import { openLedger } from '../../../agent/ledger/open.ts';
import { readLedger, verifyLedger, verifyLedgerDirectory } from '../../../agent/ledger/read.ts';
import { AlreadyRunning } from '../../../agent/ledger/writer-lock.ts';
import type { CallId } from '../../../config/units.ts';

function ended(number: number): LedgerEvent {
  return {
    kind: 'call.ended',
    call: `call-${number}` as CallId,
    campaign: 'support',
    outcome: 'unselected',
    answered: true,
    recorded: false,
  };
}

describe('the ledger', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tacet-ledger-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function write(count: number, segmentBytes = 1_000_000): Promise<void> {
    await using ledger = await openLedger({ directory, site: 'test', segmentBytes });
    for (let number = 1; number <= count; number += 1) await ledger.append(ended(number));
  }

  /** Entries of one moment, which one signature vouches for; returns the lines of the segment. */
  async function writeTogether(count: number): Promise<string[]> {
    await using ledger = await openLedger({ directory, site: 'test' });
    await Promise.all(Array.from({ length: count }, (_, number) => ledger.append(ended(number))));
    return (await readFile(join(directory, '000001.jsonl'), 'utf8')).trimEnd().split('\n');
  }

  async function verdict(): ReturnType<typeof verifyLedgerDirectory> {
    return verifyLedgerDirectory(directory, await readPublicKey(directory));
  }

  test('chains, signs and keeps what is appended, over restarts and segments', async () => {
    await write(5, 900);
    await write(5, 900);
    const { entries, faults } = await verdict();
    expect(faults).toEqual([]);
    expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect((await readdir(directory)).filter((name) => name.endsWith('.jsonl')).length).toBeGreaterThan(2);
    const read = [];
    for await (const entry of readLedger(directory)) read.push(entry);
    expect(read).toEqual(entries);
  });

  test('appends of the same moment come out in their order', async () => {
    await using ledger = await openLedger({ directory, site: 'test' });
    const entries = await Promise.all(
      Array.from({ length: 200 }, (_, number) => ledger.append(ended(number))),
    );
    expect(entries.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 200 }, (_, index) => index + 1),
    );
    expect((await verdict()).faults).toEqual([]);
  });

  test('a clock that is set back does not turn the order round', async () => {
    const times = ['2026-11-23T10:00:00.000Z', '2026-11-23T09:00:00.000Z', '2026-11-23T10:00:01.000Z'];
    await using ledger = await openLedger({
      directory,
      site: 'test',
      clock: () => new Date(times.shift() ?? 0),
    });
    for (let number = 0; number < 3; number += 1) await ledger.append(ended(number));
    const { entries, faults } = await verdict();
    expect(faults).toEqual([]);
    expect(entries.map(({ at }) => at.slice(11, 19))).toEqual(['10:00:00', '10:00:00', '10:00:01']);
  });

  test('keys are readable by their owner only, and made once', async () => {
    await write(1);
    for (const name of ['ledger.key', 'pseudonym.key']) {
      expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
    }
    const before = await readFile(join(directory, 'ledger.key'));
    await write(1);
    expect(await readFile(join(directory, 'ledger.key'))).toEqual(before);
  });

  test('a person is the same pseudonym however the number is written, on this site only', async () => {
    await using ledger = await openLedger({ directory, site: 'test' });
    const other = await mkdtemp(join(tmpdir(), 'tacet-ledger-'));
    try {
      await using elsewhere = await openLedger({ directory: other, site: 'other' });
      expect(ledger.pseudonym('+33 6 12 34 56 78')).toBe(ledger.pseudonym('sip:0033612345678@192.0.2.1'));
      expect(ledger.pseudonym('+33612345678')).toMatch(/^[0-9a-f]{32}$/u);
      expect(ledger.pseudonym('+33612345678')).not.toBe(ledger.pseudonym('+33612345679'));
      expect(ledger.pseudonym('+33612345678')).not.toBe(elsewhere.pseudonym('+33612345678'));
    } finally {
      await rm(other, { recursive: true });
    }
  });

  test('two writers are one too many, in this process or another', async () => {
    await using ledger = await openLedger({ directory, site: 'test' });
    await expect(openLedger({ directory, site: 'test' })).rejects.toThrow(AlreadyRunning);
    const script = `await (await import(${JSON.stringify(new URL('../../../agent/ledger/open.ts', import.meta.url).href)})).openLedger({ directory: process.argv[1], site: 'x' })`;
    const child = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, directory]);
    await expect(child).rejects.toThrow(/in use by another Tacet \(process \d+/u);
    await expect(ledger.append(ended(1))).resolves.toMatchObject({ sequence: 1 });
  });

  test('a line that a killed agent left unfinished is cut off, and the chain goes on', async () => {
    await write(2);
    await appendFile(join(directory, '000001.jsonl'), '{"at":"2026-');
    expect((await verdict()).faults).toHaveLength(2);
    await write(1);
    const { entries, faults } = await verdict();
    expect(faults).toEqual([]);
    expect(entries).toHaveLength(3);
  });

  test('entries of one moment are signed once, by the last of them', async () => {
    await writeTogether(20);
    const { entries, faults } = await verdict();
    expect(faults).toEqual([]);
    expect(entries.map(({ signed }) => signed)).toEqual([...Array<string>(19).fill('later'), undefined]);
    expect(entries.map(({ signature }) => signature !== undefined)).toEqual([
      ...Array<boolean>(19).fill(false),
      true,
    ]);
  });

  test.each([1, 3])(
    'what a killed agent did not come to sign (%i entries) is found, and cut off',
    async (left) => {
      const signed = await writeTogether(2);
      const lines = await writeTogether(left + 1);
      await writeFile(join(directory, '000001.jsonl'), `${lines.slice(0, -1).join('\n')}\n`);
      const { faults } = await verdict();
      expect(faults).toEqual([
        { line: 2 + left, sequence: 2 + left, reason: expect.stringMatching(/^is not signed/u) as string },
      ]);
      await write(1);
      const after = await verdict();
      expect(after.faults).toEqual([]);
      expect(after.entries).toHaveLength(3);
      expect((await readFile(join(directory, '000001.jsonl'), 'utf8')).startsWith(signed.join('\n'))).toBe(
        true,
      );
    },
  );

  test('a segment of which nothing was signed is begun anew', async () => {
    const lines = await writeTogether(3);
    await writeFile(join(directory, '000001.jsonl'), `${lines.slice(0, -1).join('\n')}\n`);
    await write(1);
    const { entries, faults } = await verdict();
    expect(faults).toEqual([]);
    expect(entries.map(({ sequence }) => sequence)).toEqual([1]);
  });

  test('every acknowledged entry survives SIGKILL', async () => {
    const program = `
      const { openLedger } = await import(${JSON.stringify(new URL('../../../agent/ledger/open.ts', import.meta.url).href)});
      const ledger = await openLedger({ directory: process.argv[1], site: 'x' });
      const write = async () => {
        for (;;) {
          const { sequence } = await ledger.append({ kind: 'agent.stopped', reason: 'again' });
          process.stdout.write(sequence + '\\n');
        }
      };
      await Promise.all([write(), write(), write()]);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    const acknowledged = new Set<number>();
    for await (const line of createInterface(child.stdout)) {
      acknowledged.add(Number(line));
      if (acknowledged.size === 50) child.kill('SIGKILL');
    }
    await exit;
    await write(1);
    const { entries, faults } = await verdict();
    expect(faults).toEqual([]);
    expect(acknowledged.difference(new Set(entries.map(({ sequence }) => sequence))).size).toBe(0);
  });

  test('nothing is added to a chain that does not hold', async () => {
    await write(3);
    const file = join(directory, '000001.jsonl');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('call-2', 'call-9'));
    await expect(openLedger({ directory, site: 'lille' })).rejects.toThrow(LedgerBroken);
    await expect(openLedger({ directory, site: 'lille' })).rejects.toThrow(
      /ledger of lille is broken: 000001.jsonl line 2 was changed/u,
    );
    await writeFile(file, text);
    await write(1);
    expect((await verdict()).faults).toEqual([]);
  });

  test('a segment taken out of the middle is found at the next start', async () => {
    await write(6, 400);
    const segments = (await readdir(directory)).filter((name) => name.endsWith('.jsonl')).toSorted();
    await rm(join(directory, segments.at(-2) ?? ''));
    await expect(openLedger({ directory, site: 'test' })).rejects.toThrow(LedgerBroken);
  });

  test('a closed ledger says so', async () => {
    const ledger = await openLedger({ directory, site: 'test' });
    await ledger[Symbol.asyncDispose]();
    await expect(ledger.append(ended(1))).rejects.toThrow(LedgerUnavailable);
  });

  describe('attacked', () => {
    let lines: string[];
    let key: Awaited<ReturnType<typeof readPublicKey>>;
    beforeEach(async () => {
      await write(3);
      await writeTogether(4);
      lines = await writeTogether(2);
      key = await readPublicKey(directory);
    });

    function faultsOf(text: string): number {
      const pieces = text.split('\n');
      const rest = pieces.pop() ?? '';
      const read = pieces.map((piece) => ({ text: piece, whole: true }));
      return verifyLedger(rest === '' ? read : [...read, { text: rest, whole: false }], key).faults.length;
    }

    test('any single changed byte is found', () => {
      const bytes = Buffer.from(`${lines.join('\n')}\n`);
      const place = fc.integer({ min: 0, max: bytes.length - 1 });
      fc.assert(
        fc.property(place, fc.integer({ min: 1, max: 255 }), (at, flip) => {
          const changed = Buffer.from(bytes);
          changed[at]! ^= flip;
          return faultsOf(changed.toString('utf8')) > 0;
        }),
        { numRuns: 400 },
      );
    });

    test.each(['dropped', 'doubled', 'swapped', 'cut in the middle', 'forged', 'robbed of its signature'])(
      'an entry that is %s is found',
      (attack) => {
        for (let at = 0; at < lines.length - 1; at += 1) {
          const [one, two] = [lines[at]!, lines[at + 1]!];
          const replaced = {
            dropped: [two],
            doubled: [one, one, two],
            swapped: [two, one],
            'cut in the middle': [one.slice(0, 40), two],
            forged: [one, two.replace('"answered":true', '"answered":false')],
            'robbed of its signature': [
              one,
              two.replace(/"signature":"[^"]*"|"signed":"later"/u, (member) =>
                member.includes('later')
                  ? `"signature":"${Buffer.alloc(64).toString('base64')}"`
                  : '"signed":"later"',
              ),
            ],
          }[attack]!;
          expect(faultsOf(`${lines.toSpliced(at, 2, ...replaced).join('\n')}\n`)).toBeGreaterThan(0);
        }
      },
    );

    test('a chain that was written anew with another key is found', async () => {
      const other = await mkdtemp(join(tmpdir(), 'tacet-ledger-'));
      try {
        await using forger = await openLedger({ directory: other, site: 'test' });
        await forger.append(ended(1));
        expect(faultsOf(await readFile(join(other, '000001.jsonl'), 'utf8'))).toBe(1);
      } finally {
        await rm(other, { recursive: true });
      }
    });
  });
});
