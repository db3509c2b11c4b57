import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { auditDay } from '../../../agent/cli/audit-command.ts';
import { auditDraws } from '../../../agent/cli/draws.ts';
import type { LedgerEntry, LedgerEvent } from '../../../agent/ledger/ledger.ts';
import { openLedger } from '../../../agent/ledger/open.ts';
import { openDrawKeys } from '../../../agent/sampling/draw-keys.ts';
import { openEmbeddedSampler } from '../../../agent/sampling/embedded.ts';
import type { CallId, Rate } from '../../../config/units.ts';
import { temporaryFolder, type TemporaryFolder } from '../../peers/temporary-folder.ts';

const day = '2026-11-24';
type Decided = Extract<LedgerEvent, { kind: 'call.decided' }>;

describe('the audit of a day of draws', () => {
  let folder: TemporaryFolder;
  let entries: LedgerEntry[];
  let ledgerDirectory: string;
  beforeEach(async () => {
    folder = await temporaryFolder('draws');
    ledgerDirectory = join(folder.path, 'ledger');
    entries = [];
    await carryADay();
  });
  afterEach(() => folder[Symbol.asyncDispose]());

  /** Forty calls of one campaign on one day in Paris, ten of them before midnight in UTC, at which the keys are turned. */
  async function carryADay(): Promise<void> {
    let now = new Date('2026-11-22T12:00:00Z');
    const clock = (): Date => now;
    await using ledger = await openLedger({ directory: ledgerDirectory, site: 'test', clock });
    const append = async (event: LedgerEvent): Promise<LedgerEntry> => {
      const entry = await ledger.append(event);
      entries.push(entry);
      return entry;
    };
    const told = { append, [Symbol.asyncDispose]: () => Promise.resolve() };
    using keys = await openDrawKeys({ directory: join(folder.path, 'keys'), ledger: told, clock });
    await using sampler = await openEmbeddedSampler({
      directory: join(folder.path, 'sampling'),
      uniform: keys.uniform,
      clock,
      timeoutMs: 10_000,
    });
    const timeZone = 'Europe/Paris';
    now = new Date('2026-11-23T23:30:00Z');
    await keys.turn();
    for (let index = 0; index < 40; index += 1) {
      if (index === 10) {
        now = new Date(`${day}T00:00:00Z`);
        await keys.turn();
      }
      const call = randomUUID() as CallId;
      const draw = await sampler.reserve({ name: 'support', rate: 0.3 as Rate, timeZone }, call);
      await append({
        kind: 'call.decided',
        campaign: 'support',
        direction: 'inbound',
        rate: 0.3,
        mode: 'object',
        law: [],
        parties: { caller: 'a', agent: 'b' },
        ...{ call, selected: draw.selected, reason: draw.reason, epoch: draw.epoch },
        ...{ day: draw.day, timeZone },
        ...{ basis: draw.basis, draw: draw.draw },
      });
      const answered = index % 7 !== 0;
      const recorded = draw.selected && answered && index % 5 !== 0;
      void sampler.settle(draw, recorded ? 'recorded' : answered ? 'not-recorded' : 'no-conversation');
      await append({ kind: 'call.ended', call, campaign: 'support', outcome: 'x', answered, recorded });
    }
    now = new Date('2026-11-25T00:00:01Z');
    await keys.turn();
  }

  /** The entries with one decision changed, or left out. */
  function forged(
    which: (event: Decided) => boolean,
    change: (event: Decided) => Decided | undefined,
  ): LedgerEntry[] {
    const at = entries.findIndex(({ event }) => event.kind === 'call.decided' && which(event));
    expect(at).toBeGreaterThan(-1);
    const changed = change(entries[at]!.event as Decided);
    return entries.toSpliced(at, 1, ...(changed === undefined ? [] : [{ ...entries[at]!, event: changed }]));
  }

  async function run(of = day): Promise<{ status: number; json: Record<string, unknown> }> {
    let text = '';
    const status = await auditDay(
      { ledgerDirectories: [ledgerDirectory], day: of, json: true },
      { write: (more) => (text += more) },
    );
    return { status, json: JSON.parse(text) as Record<string, unknown> };
  }

  test('every draw is taken again and holds', async () => {
    const { status, json } = await run();
    expect(json).toEqual({ draws: 40, recomputed: 40, mismatches: 0, findings: [], notes: [] });
    expect(status).toBe(0);
  });

  test('a day without calls has nothing to take again, though its key drew some of the next', async () => {
    expect((await run('2026-11-23')).json).toMatchObject({ draws: 0, mismatches: 0 });
  });

  test('before its key is revealed a day can be checked, not proved', () => {
    const today = entries.filter(({ event }) => event.kind !== 'sampling.key-revealed' || event.day !== day);
    const { draws, recomputed, mismatches, notes } = auditDraws(today, day);
    expect({ draws, recomputed, mismatches }).toEqual({ draws: 40, recomputed: 10, mismatches: 0 });
    expect(notes).toHaveLength(1);
  });

  test('a changed line of the ledger is found', async () => {
    const file = join(ledgerDirectory, '000001.jsonl');
    await writeFile(file, (await readFile(file, 'utf8')).replace('"selected":true', '"selected":false'));
    const { status, json } = await run();
    expect(json['mismatches']).toBeGreaterThanOrEqual(1);
    expect(status).toBe(1);
  });

  // The same forgeries by somebody who holds the signing key and has written the chain anew.
  test.each<[string, (event: Decided) => boolean, (event: Decided) => Decided | undefined, RegExp]>([
    [
      'a dropped draw',
      (e) => e.draw!.sequence === 20,
      () => undefined,
      /1 draws of campaign support have no entry/u,
    ],
    [
      'a doubled number',
      (e) => e.draw!.sequence === 20,
      (e) => ({ ...e, draw: { ...e.draw!, sequence: 21 } }),
      /has the number of another draw/u,
    ],
    [
      'a selection that was not drawn',
      (e) => !e.selected,
      (e) => ({ ...e, selected: true }),
      /was selected against its draw/u,
    ],
    [
      'another number',
      (e) => !e.selected,
      (e) => ({ ...e, selected: true, draw: { ...e.draw!, uniform: 0 } }),
      /has another number than its key gives|was selected against/u,
    ],
    [
      'another call',
      (e) => e.selected,
      (e) => ({ ...e, call: randomUUID() as CallId }),
      /has another number than its key gives/u,
    ],
    [
      'credit out of nothing',
      (e) => !e.selected && e.draw!.sequence > 5,
      (e) => ({ ...e, selected: true, draw: { ...e.draw!, credit: 50_000_000 } }),
      /was drawn on more credit than the calls before it earned|was selected against/u,
    ],
    [
      'a call counted on another day than its own',
      (e) => e.selected,
      (e) => ({ ...e, timeZone: 'Pacific/Auckland', draw: { ...e.draw! }, day, epoch: '2026-10' }),
      /was counted on 2026-11-24 in 2026-10, and was drawn on 2026-11-24/u,
    ],
    [
      'a key of nobody',
      (e) => e.selected,
      (e) => ({ ...e, draw: { ...e.draw!, key: 'x' } }),
      /was drawn with a key that no ledger committed/u,
    ],
  ])('%s is found', (_, which, change, finding) => {
    const { findings, mismatches } = auditDraws(forged(which, change), day);
    expect(findings.join('\n')).toMatch(finding);
    expect(mismatches).toBe(findings.length);
  });

  test('a key that is revealed as another is found', () => {
    const other = entries.map((entry) =>
      entry.event.kind === 'sampling.key-revealed' && entry.event.day === day
        ? { ...entry, event: { ...entry.event, secret: '00'.repeat(32) } }
        : entry,
    );
    expect(auditDraws(other, day).findings.join()).toMatch(/was revealed as another than was committed/u);
  });
});
