/**
 * The embedded SIP server under a plain `createB2BUA`: both pinned to one core, SIPp at either side on another. Goes up
 * in steps to the highest rate at which no call failed and nothing was sent twice, then holds calls up to weigh them.
 * A step that failed is tried once more: other work on the machine shows in one run, a limit in both.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../peers/free-port.ts';
import { Sipp, runSipp } from '../peers/sipp.ts';
import { B2buaUnderTest } from './b2bua-under-test.ts';
import { openInviteProbe } from './invite-probe.ts';
import type { InviteProbe } from './invite-probe.ts';

const ratesCps = [100, 200, 300, 350, 400, 500];
const secondsPerStep = 8;
const holdMs = 1_000;
const settlingMs = 1_000;
const heldCalls = 5_000;
/** Far below the limit: here memory is weighed. */
const holdRateCps = 100;
const holdTimeoutMs = 300_000;

export async function run(say: (line: string) => void): Promise<Record<string, unknown>> {
  let best: Record<string, unknown> = { cps: 0 };
  {
    await using b2bua = await B2buaUnderTest.start();
    await step(b2bua, 50);
    for (const cps of ratesCps) {
      const figures = await sustained(b2bua, cps, say);
      if (!figures) break;
      best = { cps, ...figures };
    }
  }
  const held = await hold();
  say(`${heldCalls} calls up: ${JSON.stringify(held)}`);
  return { ...best, bytesPerDialog: held.bytesPerDialog, dialogs: held.dialogs, peakMiB: held.peakMiB };
}

async function sustained(b2bua: B2buaUnderTest, cps: number, say: (line: string) => void) {
  for (let tries = 0; tries < 2; tries++) {
    const figures = await step(b2bua, cps);
    const { waits: _, ...told } = figures;
    say(`${cps} calls/s: ${JSON.stringify(told)}`);
    if (told.failed === 0 && told.retransmissions === 0) return told;
  }
  return undefined;
}

/** Calls at this rate for some seconds, and what they cost. */
export async function step(b2bua: B2buaUnderTest, cps: number, seconds = secondsPerStep) {
  const port = await freePort();
  await using probe = await openInviteProbe();
  const before = await b2bua.ask({ sendTo: port });
  const { calls, successful, retransmissions, waits } = await load({
    cps,
    seconds,
    target: b2bua.port,
    pbxPort: port,
    probe,
    probed: `p${probe.port}`,
  });
  const after = await b2bua.ask('how are you');
  const own = after.server.retransmissions - before.server.retransmissions;
  return {
    retransmissions: retransmissions + own,
    failed: calls - successful + waits.lost,
    cpuMsPerCall: round((after.cpuMs - before.cpuMs) / (calls + waits.sorted.length / 3)),
    p99Ms: quantile(waits.sorted, 0.99),
    waits: waits.sorted,
  };
}

/** SIPp's calls through `target` for some seconds, while a probe tells how long an INVITE takes to come out again. */
export async function load(options: {
  cps: number;
  seconds: number;
  target: number;
  pbxPort: number;
  carrierPort?: number;
  service?: string;
  probe: InviteProbe;
  probed: string;
}) {
  const { cps, seconds, target, pbxPort, carrierPort, service, probe, probed } = options;
  const calls = cps * seconds;
  await using pbx = await Sipp.start({
    scenario: { builtIn: 'uas' },
    port: pbxPort,
    limit: calls,
    quiet: true,
  });
  const over = new AbortController();
  const probing = latencies(probe, target, probed, over.signal);
  const called = await runSipp({
    scenario: { builtIn: 'uac' },
    target: { port: target },
    ...(carrierPort === undefined ? {} : { port: carrierPort }),
    ...(service === undefined ? {} : { service }),
    calls,
    rate: cps,
    limit: calls,
    quiet: true,
    args: ['-d', String(holdMs)],
    timeoutMs: (seconds + 40) * 1_000,
  }).finally(() => over.abort());
  const waits = await probing;
  const answered = await pbx.quit();
  return {
    calls,
    successful: called.successful,
    retransmissions: called.retransmissions + answered.retransmissions,
    waits,
  };
}

/** Times from an INVITE handed over to the INVITE sent on, by a probe that is both parties and always busy. */
async function latencies(probe: InviteProbe, port: number, called: string, over: AbortSignal) {
  const sorted: number[] = [];
  let lost = 0;
  // The start of two SIPps keeps the probe's core from it: for so long it would measure that.
  await delay(settlingMs);
  while (!over.aborted) {
    const latency = await probe.probe({ port }, called);
    if (latency === undefined) lost++;
    else sorted.push(latency);
    await delay(20);
  }
  return { sorted: sorted.sort((a, b) => a - b), lost };
}

/** How much memory a dialog takes while it is up: two of them a call. */
async function hold() {
  await using b2bua = await B2buaUnderTest.start();
  await step(b2bua, 100, 3);
  const port = await freePort();
  await using _pbx = await Sipp.start({
    scenario: { builtIn: 'uas' },
    port,
    limit: heldCalls,
    quiet: true,
    timeoutMs: holdTimeoutMs,
  });
  await b2bua.ask({ sendTo: port });
  const before = await b2bua.ask('what do you weigh');
  await using _caller = await Sipp.start({
    scenario: { builtIn: 'uac' },
    target: { port: b2bua.port },
    calls: heldCalls,
    rate: holdRateCps,
    limit: heldCalls,
    quiet: true,
    args: ['-d', '240000'],
    timeoutMs: holdTimeoutMs,
  });
  // Transactions of the set-up live for 32 s: what is left then is the dialogs.
  let now = await b2bua.ask('what do you weigh');
  const deadline = performance.now() + 200_000;
  let peakBytes = now.residentBytes;
  const settled = () => now.server.dialogs >= 2 * heldCalls && now.server.transactions < heldCalls / 10;
  while (!settled() && performance.now() < deadline) {
    await delay(1_000);
    now = await b2bua.ask('what do you weigh');
    peakBytes = Math.max(peakBytes, now.residentBytes);
  }
  const { dialogs } = now.server;
  return {
    dialogs,
    residentMiB: round(now.residentBytes / 2 ** 20),
    peakMiB: round(peakBytes / 2 ** 20),
    bytesPerDialog: Math.round((now.residentBytes - before.residentBytes) / Math.max(1, dialogs)),
    heapBytesPerDialog: Math.round((now.heapBytes - before.heapBytes) / Math.max(1, dialogs)),
  };
}

export function quantile(sorted: readonly number[], share: number): number {
  return round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN);
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}
