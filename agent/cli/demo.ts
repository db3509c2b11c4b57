/** `tacet demo`: a small call centre on loopback. Real SIP and RTP, free ports, embedded everything, nothing to install. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { loadConfig } from '../../config/load.ts';
import { TacetError } from '../../config/errors.ts';
import { openStoreReader } from '../../media/store/reader.ts';
import type { LedgerEvent } from '../ledger/ledger.ts';
import { readPublicKey } from '../ledger/keys.ts';
import { verifyLedgerDirectory } from '../ledger/read.ts';
import { startTacet } from '../main.ts';
import { audit } from './audit.ts';
import { runCarrier } from './demo/carrier.ts';
import { DemoPbx } from './demo/pbx.ts';
import { readSpeech } from './demo/speech.ts';
import { progressLine, renderOutcomes, type CampaignOutcomes } from './demo/table.ts';
import { UserAgent } from './demo/user-agent.ts';
import { storeEvidence } from './verify-command.ts';

class DemoRefused extends TacetError {}

const folder = resolve('demo');
const targetRate = 0.3;
const destinations = [
  { campaign: 'support-fr', called: '+33800000001', busy: '+33800000099' },
  { campaign: 'ventes-fr', called: '+33900000001', busy: '+33900000099' },
];
const speechOf = (name: string): Promise<Uint8Array> =>
  readSpeech(fileURLToPath(new URL(`../../config/prompts/demo/${name}.wav`, import.meta.url)));

export async function demo(words: string[]): Promise<number> {
  const { values } = parseArgs({
    args: words,
    options: { calls: { type: 'string', default: '30' }, json: { type: 'boolean', default: false } },
  });
  const calls = Number(values.calls);
  if (!Number.isInteger(calls) || calls < 1 || calls > 2_000) {
    throw new DemoRefused(`--calls ${values.calls} is not allowed; a whole number from 1 to 2000`);
  }
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'recordings'), { recursive: true });

  const say = values.json ? (): void => undefined : (text: string): void => void process.stdout.write(text);
  say(`A call centre of ${destinations.length} campaigns at ${targetRate * 100} %, ${calls} calls.\n`);
  await runCalls(calls, say);
  const result = await takeStock(calls);
  if (values.json) {
    const { rows: _rows, findings: _findings, ...figures } = result;
    console.log(JSON.stringify(figures));
  } else {
    say(`\n${renderOutcomes(result.rows)}\n`);
    say(`recordings (caller left, agent right): ${relative('.', join(folder, 'recordings'))}/\n`);
    for (const path of result.recordings) say(`  ${relative('.', path)}\n`);
    if (result.recordings[0] !== undefined)
      say(`  to listen: play ${relative('.', result.recordings[0])}   (or any player)\n`);
    for (const finding of result.findings) say(`  ${finding}\n`);
    say(
      result.violations === 0 ? 'verify: sound, no violation\n' : `verify: ${result.violations} VIOLATIONS\n`,
    );
  }
  return result.violations === 0 ? 0 : 1;
}

/** Starts everything, lets the calls happen, and ends everything. */
async function runCalls(calls: number, say: (text: string) => void): Promise<void> {
  await using telephone = await UserAgent.open();
  const busy = new Set(destinations.map((each) => each.busy));
  await using pbx = await DemoPbx.start({
    speech: await speechOf('agent-fr'),
    isBusy: (called) => busy.has(called),
  });
  await using tacet = await startTacet(await loadConfig(await writeSite(telephone.port, pbx.port)));
  const { address, port } = tacet.sipServer!.addresses[0]!;
  const startedAt = performance.now();
  let done = 0;
  const carrier = runCarrier({
    target: { address, port },
    telephone,
    destinations,
    calls,
    callsPerSecond: 3,
    mix: { talk: 70, refuser: 12, abandon: 8, busy: 10 },
    seed: 1,
    speech: await speechOf('caller-fr'),
    pickedUp: (caller) => pbx.pickedUp(caller),
  });
  for await (const _call of carrier) {
    done += 1;
    if (process.stdout.isTTY) {
      const progress = {
        done,
        planned: calls,
        recorded: 0,
        refused: 0,
        elapsedMs: performance.now() - startedAt,
      };
      say(`\r${progressLine(progress, process.stdout.columns)}`);
    }
  }
  await tacet.drain();
}

/** What ledger and store say of the calls, after everything has ended. */
async function takeStock(calls: number) {
  const ledgerDirectory = join(folder, 'data', 'ledger');
  const storeDirectory = join(folder, 'data', 'store');
  const { entries, faults } = await verifyLedgerDirectory(
    ledgerDirectory,
    await readPublicKey(ledgerDirectory),
  );
  const findings = [...faults, ...audit(entries, storeEvidence(storeDirectory), new Date())];
  const events = entries.map(({ event }) => event);
  const rows = destinations.map(({ campaign }) => outcomesOf(campaign, events));
  const over = rows.filter(({ recorded, conversations }) => recorded > targetRate * conversations + 1);

  using reader = openStoreReader(storeDirectory);
  const recordings: string[] = [];
  for (const { header } of reader.recordings()) {
    const path = join(folder, 'recordings', `${header.campaign}-${header.recording.slice(0, 8)}.wav`);
    await writeFile(path, reader.read(header.recording));
    recordings.push(path);
  }
  const sum = (of: (row: CampaignOutcomes) => number): number =>
    rows.reduce((total, row) => total + of(row), 0);
  const conversations = sum((row) => row.conversations);
  return {
    calls,
    answered: conversations,
    selected: events.filter((event) => event.kind === 'call.decided' && event.selected).length,
    refused: sum((row) => row.refused),
    recorded: recordings.length,
    targetRate,
    achievedRate: conversations === 0 ? 0 : Math.round((recordings.length / conversations) * 1_000) / 1_000,
    violations: findings.length + over.length,
    recordings,
    rows,
    findings: findings.map(({ reason }) => reason),
  };
}

function outcomesOf(campaign: string, events: readonly LedgerEvent[]): CampaignOutcomes {
  const ended = events
    .filter((event) => event.kind === 'call.ended')
    .filter((event) => event.campaign === campaign);
  const count = (...kinds: string[]): number => ended.filter(({ outcome }) => kinds.includes(outcome)).length;
  return {
    campaign,
    target: targetRate,
    calls: ended.length,
    conversations: ended.filter(({ answered }) => answered).length,
    recorded: count('recorded'),
    refused: count('refused'),
    abandoned: count('abandoned'),
    busy: count('busy'),
    failed: count('unrecorded', 'no-answer', 'rejected', 'unreachable'),
  };
}

/** The demo's site, as an operator would write it: look at it in `demo/tacet.yaml`. */
async function writeSite(carrierPort: number, pbxPort: number): Promise<string> {
  const peer = (name: string, port: number, routes: string[]) => ({
    name,
    sources: ['127.0.0.1'],
    ports: [port],
    uri: `sip:127.0.0.1:${port}`,
    routes,
  });
  const campaign = (name: string, called: string) => ({
    name,
    direction: 'inbound',
    match: { called: [called] },
    rate: targetRate,
    purpose: 'training',
    controller: 'Marco SA',
    announcement: { prompt: 'fr-object', refusedPrompt: 'fr-refused', graceMs: 500 },
    // The demo's callers talk from the first second on; a person would not.
    refusalVoice: 'none',
  });
  await writeFile(
    join(folder, 'campaigns.yaml'),
    stringify({ campaigns: [campaign('support-fr', '+338*'), campaign('ventes-fr', '+339*')] }),
  );
  const path = join(folder, 'tacet.yaml');
  await writeFile(
    path,
    stringify({
      site: 'demo',
      dataDir: 'data',
      campaigns: 'campaigns.yaml',
      sip: { listen: [{ address: '127.0.0.1', port: 0 }] },
      trunks: [peer('carrier', carrierPort, ['pbx'])],
      pbxs: [peer('pbx', pbxPort, ['carrier'])],
      http: { port: 0 },
      logLevel: 'error',
    }),
  );
  return path;
}
