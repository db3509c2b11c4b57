import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { agentShares, upperTail } from '../../../agent/cli/agent-shares.ts';
import { report } from '../../../agent/cli/report-command.ts';
import type { LedgerEntry, LedgerEvent } from '../../../agent/ledger/ledger.ts';
import { openLedger } from '../../../agent/ledger/open.ts';
import type { CallId } from '../../../config/units.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';

const draw = {
  ...{ key: 'k', uniform: 0, run: 'r', sequence: 0, ppm: 300_000, capPpm: 450_000 },
  ...{ dailyGuard: undefined, credit: 0, announceCredit: 0, today: 0 },
};

/** The two entries of one drawn call. */
function call(agent: string | undefined, recorded: boolean, answered = true): LedgerEvent[] {
  const id = randomUUID() as CallId;
  return [
    {
      ...{
        kind: 'call.decided',
        call: id,
        campaign: 'support-fr',
        direction: 'outbound',
        selected: recorded,
      },
      ...{ reason: 'quota', rate: 0.3, epoch: '2026-11', basis: undefined, draw, mode: 'object', law: [] },
      parties: { caller: 'c', agent: 'a' },
      agent,
    },
    {
      ...{ kind: 'call.ended', call: id, campaign: 'support-fr', answered, recorded },
      outcome: recorded ? 'recorded' : 'unselected',
    },
  ];
}

const entriesOf = (events: readonly LedgerEvent[], at = '2026-11-10T09:00:00.000Z'): LedgerEntry[] =>
  events.map((event, sequence) => ({ sequence, at, previous: '', event, hash: '', signature: '' }));

const calls = (agent: string, conversations: number, recorded: number): LedgerEvent[] =>
  Array.from({ length: conversations }, (_, at) => call(agent, at < recorded)).flat();

const november = { from: '2026-11-01', to: '2026-11-30' };
const bands = new Map([['support-fr', { min: 0.2, max: 0.4 }]]);

test('who is recorded more or less often than chance explains has left the band', () => {
  const events = [
    ...calls('ann', 200, 60),
    ...calls('bob', 200, 120),
    ...calls('cas', 200, 10),
    ...calls('dee', 4, 4),
  ];
  const rows = agentShares(entriesOf(events), { ...november, bands });
  expect(rows.map(({ agent, share, verdict }) => [agent, share, verdict])).toEqual([
    // Four of four are no proof of anything.
    ['dee', 1, 'within'],
    ['bob', 0.6, 'above'],
    ['ann', 0.3, 'within'],
    ['cas', 0.05, 'below'],
  ]);
});

test('what nobody answered, nobody drew, or another month had does not count', () => {
  const undrawn = call('ann', false).map((event) => ({ ...event, draw: undefined }) as LedgerEvent);
  const events = [...calls('ann', 10, 3), ...call('ann', false, false), ...call(undefined, true), ...undrawn];
  const [row, ...others] = agentShares(entriesOf(events), { ...november, bands: new Map() });
  expect(row).toMatchObject({ agent: 'ann', conversations: 10, recorded: 3, verdict: 'no-band' });
  expect(others).toEqual([]);
  expect(agentShares(entriesOf(events, '2026-12-01T00:00:00.000Z'), { ...november, bands })).toEqual([]);
});

test('the tail is that of the binomial distribution', () => {
  const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n, k - 1) * (n - k + 1)) / k);
  fc.assert(
    fc.property(fc.nat(30), fc.nat(31), fc.double({ min: 0.01, max: 0.99, noNaN: true }), (n, k, p) => {
      let tail = 0;
      for (let i = k; i <= n; i += 1) tail += choose(n, i) * p ** i * (1 - p) ** (n - i);
      expect(upperTail(n, k, p)).toBeCloseTo(k > n ? 0 : tail, 9);
    }),
  );
});

test('tacet report agents tells it, by the ids that are asked about', async () => {
  await using folder = await temporaryFolder('report');
  const dataDir = join(folder.path, 'data');
  const config = join(folder.path, 'tacet.yaml');
  const [trunk, pbx] = [
    { name: 'carrier', sources: ['192.0.2.1'], uri: 'sip:192.0.2.1', routes: ['pbx'] },
    { name: 'pbx', sources: ['192.0.2.2'], uri: 'sip:192.0.2.2', routes: ['carrier'] },
  ];
  const sip = { listen: [{ address: '127.0.0.1', port: 5060 }] };
  await writeFile(
    config,
    stringify({ dataDir, campaigns: 'campaigns.yaml', sip, trunks: [trunk], pbxs: [pbx] }),
  );
  const campaign = {
    ...{ name: 'support-fr', direction: 'outbound', match: { called: ['+33*'] }, purpose: 'training' },
    ...{ controller: 'Marco SA', agentShare: { min: 0.2, max: 0.4 } },
  };
  await writeFile(join(folder.path, 'campaigns.yaml'), stringify({ campaigns: [campaign] }));
  {
    await using ledger = await openLedger({ directory: join(dataDir, 'ledger'), site: 'test' });
    const events = [...calls(ledger.pseudonym('1001'), 60, 55), ...calls(ledger.pseudonym('1002'), 60, 18)];
    await Promise.all(events.map((event) => ledger.append(event)));
  }
  const said: string[] = [];
  const spy = vi.spyOn(console, 'log').mockImplementation((line: string) => void said.push(line));
  try {
    expect(await report(['agents', '--agent', '1001', '--config', config])).toBe(1);
    expect(await report(['agents', '--agent', '1002', '--config', config])).toBe(0);
  } finally {
    spy.mockRestore();
  }
  expect(said).toEqual([
    'support-fr  1001  55 of 60 conversations, 91.67 %  ABOVE its band',
    'support-fr  1002  18 of 60 conversations, 30 %',
  ]);
});
