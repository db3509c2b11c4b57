/**
 * A thousand recorded streams for minutes, G.711 through one relay worker into a store on the same machine: nothing may be
 * lost that a bare relay in C does not lose, every recording must be whole, and memory must be flat.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MediaUnderTest } from '../bench/media-under-test.ts';
import { build, load, portsOf, relayCore, startOn, threadMicros, type Traffic } from '../bench/rtp-load.ts';
import type { Program } from '../peers/program.ts';
import { temporaryFolder } from '../peers/temporary-folder.ts';
import { quartersMiB, slopeMiB, type Sample } from './memory.ts';
import type { Found } from './soak.ts';

const defaultMinutes = 5;
const streams = 1_000;
/** The bare relay's loss is a rate: a minute tells it. */
const bareSeconds = 60;
const sampleMs = 5_000;
/** Buffers grow to what the load needs and code is compiled: before this, memory rises for good reasons. */
const warmUpMinutes = 1;
/** What lives in a process's heap may not grow; a collection finds a little more or less on its way. */
const allowedMiBPerMinute = 0.5;
/** What it holds may, with the habits of the collector and the buffers of audio on its way, by so much. */
const allowedResident = 1.25;
/** One packet in a hundred thousand is chance. */
const allowedLoss = 1e-5;

interface Resident {
  agent: Sample[];
  store: Sample[];
}

export async function run(minutes = defaultMinutes, say: (line: string) => void): Promise<Found> {
  await using folder = await temporaryFolder('soak');
  const generator = await build('rtp-generator', folder.path);
  process.env['SOAK_MEMORY'] = folder.path;
  process.env['NODE_OPTIONS'] = `--expose-gc --import ${new URL('./live-memory.ts', import.meta.url).href}`;
  const bare = await bareTraffic(generator, await build('bare-relay', folder.path));
  say(`bare relay ${JSON.stringify(bare)}`);

  await using media = await MediaUnderTest.start('all');
  const seconds = Math.round(minutes * 60);
  const over = new AbortController();
  let watching: Promise<Resident> | undefined;
  let pids: readonly [number, number] = [media.pid, 0];
  let before = 0;
  const traffic = await load(
    generator,
    streams,
    seconds,
    async (ports) => {
      const { targets = [] } = await media.ask({ do: 'anchor', ports });
      pids = [media.pid, (await media.ask({ do: 'record' })).storePid ?? 0];
      return targets;
    },
    () => {
      before = spent(pids);
      watching = watch(pids, over.signal, say);
    },
  );
  const cores = (spent(pids) - before) / (seconds * 1e6);
  over.abort();
  const resident = await watching!;
  const live = { agent: await liveIn(folder.path, pids[0]), store: await liveIn(folder.path, pids[1]) };
  say(`traffic ${JSON.stringify(traffic)}`);
  const { stored = 0, copied = 0, storedMs = 0 } = await media.ask({ do: 'finish' });

  const figures = {
    minutes,
    streams,
    loss: lossOf(traffic),
    bareLoss: lossOf(bare),
    p50Us: traffic.p50Us,
    p999Us: traffic.p999Us,
    cores: rounded(cores),
    missingRecordings: streams / 2 - stored,
    completeness: Math.round((storedMs / 20 / copied) * 1e5) / 1e5,
    agentMiB: quartersMiB(resident.agent),
    storeMiB: quartersMiB(resident.store),
    agentLiveMiB: quartersMiB(live.agent),
    storeLiveMiB: quartersMiB(live.store),
    agentLiveMiBPerMinute: rounded(slopeMiB(live.agent)),
    storeLiveMiBPerMinute: rounded(slopeMiB(live.store)),
  };
  return { figures, faults: faultsOf(figures) };
}

function faultsOf(figures: {
  loss: number;
  bareLoss: number;
  missingRecordings: number;
  completeness: number;
  agentMiB: number[];
  storeMiB: number[];
  agentLiveMiBPerMinute: number;
  storeLiveMiBPerMinute: number;
}): string[] {
  const { loss, bareLoss, missingRecordings, completeness } = figures;
  const faults: string[] = [];
  if (loss > bareLoss + allowedLoss)
    faults.push(`${loss} of the packets were lost, ${bareLoss} by the bare relay`);
  if (missingRecordings > 0) faults.push(`${missingRecordings} recordings are missing`);
  if (completeness < 1 - allowedLoss) faults.push(`${1 - completeness} of the audio is missing`);
  const processes = {
    agent: { live: figures.agentLiveMiBPerMinute, resident: figures.agentMiB },
    store: { live: figures.storeLiveMiBPerMinute, resident: figures.storeMiB },
  };
  for (const [process, { live, resident }] of Object.entries(processes)) {
    if (!(live <= allowedMiBPerMinute))
      faults.push(`what lives in the ${process} grows by ${live} MiB a minute`);
    const [first = Number.NaN, , , last = Number.NaN] = resident;
    if (!(last <= first * allowedResident)) faults.push(`the ${process} holds ${last} MiB, ${first} before`);
  }
  return faults;
}

/** What lived in a process, once the warm-up was over. */
async function liveIn(folder: string, pid: number): Promise<Sample[]> {
  const lines = (await readFile(join(folder, String(pid)), 'utf8')).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Sample).filter(({ minute }) => minute > warmUpMinutes);
}

/** The same streams through the relay in C. */
async function bareTraffic(generator: string, relay: string): Promise<Traffic> {
  await using programs = new AsyncDisposableStack();
  return await load(generator, streams, bareSeconds, async (ports) => {
    const bare: Program = programs.use(await startOn(relayCore, relay, ports.map(String)));
    return await portsOf(bare);
  });
}

/** Memory of both processes, once the warm-up is over. */
async function watch(
  [agent, store]: readonly [number, number],
  over: AbortSignal,
  say: (line: string) => void,
): Promise<Resident> {
  const resident: Resident = { agent: [], store: [] };
  const ended = new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }));
  for (let at = 1; !over.aborted; at++) {
    const timer = Promise.withResolvers<undefined>();
    const id = setTimeout(() => timer.resolve(undefined), sampleMs);
    await Promise.race([timer.promise, ended]);
    clearTimeout(id);
    const minute = (at * sampleMs) / 60_000;
    const bytes = { agent: residentBytes(agent), store: residentBytes(store) };
    say(`minute ${minute.toFixed(2)} resident ${JSON.stringify(bytes)}`);
    if (minute <= warmUpMinutes) continue;
    resident.agent.push({ minute, bytes: bytes.agent });
    resident.store.push({ minute, bytes: bytes.store });
  }
  return resident;
}

/** Memory of a process that is in use (proc(5): status, kB). */
function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1_024;
}

function spent(pids: readonly number[]): number {
  return pids.flatMap((pid) => [...threadMicros(pid).values()]).reduce((sum, micros) => sum + micros, 0);
}

function lossOf({ sent, received }: Traffic): number {
  return Math.round(Math.max(0, 1 - received / sent) * 1e7) / 1e7;
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
