/**
 * Calls through a plain `createB2BUA` on the embedded SIP server at a rate that it sustains, for minutes: memory must be
 * flat once the first transactions have run out, and nothing may be left when the last have.
 */
import { B2buaUnderTest } from '../bench/b2bua-under-test.ts';
import { freePort } from '../peers/free-port.ts';
import { Sipp, runSipp } from '../peers/sipp.ts';
import { quartersMiB, slopeMiB } from './memory.ts';
import type { Sample } from './memory.ts';
import type { Found } from './soak.ts';

const defaultMinutes = 6;
const cps = 50;
const talkMs = 5_000;
const sampleMs = 5_000;
/** Transactions live for 32 s and code is compiled: before this, memory rises for good reasons. */
const warmUpMinutes = 1;
/** What a heap measured after a collection may wander by over the whole soak. */
const allowedMiB = 4;

export async function run(minutes = defaultMinutes, say: (line: string) => void): Promise<Found> {
  const calls = Math.round((minutes + warmUpMinutes) * 60 * cps);
  const port = await freePort();
  await using b2bua = await B2buaUnderTest.start();
  const timeoutMs = (minutes + warmUpMinutes + 2) * 60_000;
  await using pbx = await Sipp.start({
    scenario: { builtIn: 'uas' },
    port,
    limit: calls,
    quiet: true,
    timeoutMs,
  });
  await b2bua.ask({ sendTo: port });
  const over = new AbortController();
  const calling = runSipp({
    scenario: { builtIn: 'uac' },
    target: { port: b2bua.port },
    calls,
    rate: cps,
    limit: calls,
    quiet: true,
    args: ['-d', String(talkMs)],
    timeoutMs,
  }).finally(() => over.abort());
  const { heap, resident } = await samples(b2bua, over.signal, say);
  const called = await calling;
  await pbx.quit();
  const { transactions, dialogs, timers, connections } = await emptied(b2bua);

  const heapMiBPerMinute = Math.round(slopeMiB(heap) * 1_000) / 1_000;
  const failed = calls - called.successful;
  const figures = {
    minutes,
    cps,
    calls,
    failed,
    retransmissions: called.retransmissions,
    heapMiB: quartersMiB(heap),
    residentMiB: quartersMiB(resident),
    heapMiBPerMinute,
    left: { transactions, dialogs, timers, connections },
  };
  const faults = [];
  if (failed > 0) faults.push(`${failed} calls failed`);
  if (transactions + dialogs + timers + connections > 0)
    faults.push('something is left of calls that are over');
  if (heapMiBPerMinute * minutes > allowedMiB) faults.push('memory grows');
  return { figures, faults };
}

/** After the warm-up, the heap after a collection and what the system counts, until the calls are over. */
async function samples(b2bua: B2buaUnderTest, over: AbortSignal, say: (line: string) => void) {
  const from = performance.now();
  const heap: Sample[] = [];
  const resident: Sample[] = [];
  while (!over.aborted) {
    await pause(sampleMs);
    const { heapBytes, residentBytes, server } = await b2bua.ask('what do you weigh');
    const minute = (performance.now() - from) / 60_000;
    // While calls run out, memory falls, which would hide a rise.
    if (minute < warmUpMinutes || over.aborted) continue;
    heap.push({ minute, bytes: heapBytes });
    resident.push({ minute, bytes: residentBytes });
    const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
    say(
      `${minute.toFixed(1)} min: heap ${mib(heapBytes)} MiB, resident ${mib(residentBytes)} MiB, ${server.dialogs} dialogs`,
    );
  }
  return { heap, resident };
}

/** What the server holds once nothing of a call can come any more, 64*T1 after the last; or after twice that. */
async function emptied(b2bua: B2buaUnderTest) {
  const deadline = performance.now() + 64_000;
  for (;;) {
    const { server } = await b2bua.ask('how are you');
    const { transactions, dialogs, timers } = server;
    if (transactions + dialogs + timers === 0 || performance.now() > deadline) return server;
    await pause(1_000);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
