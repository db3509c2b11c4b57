/**
 * What recording a call costs all of Tacet together: G.711 both ways through the relay, forked over the store link to a
 * store on the same machine that encrypts, syncs and makes the artefact. CPU from the first packet counted to the last
 * recording confirmed, over the seconds that were spoken.
 */
import { build, load, threadMicros } from './rtp-load.ts';
import { temporaryFolder } from '../peers/temporary-folder.ts';
import { MediaUnderTest } from './media-under-test.ts';

const calls = 200;
const seconds = 20;

export async function run(say: (line: string) => void): Promise<Record<string, unknown>> {
  await using folder = await temporaryFolder('bench');
  const generator = await build('rtp-generator', folder.path);
  await using media = await MediaUnderTest.start('all');
  let storePid = 0;
  let before = { main: 0, worker: 0, store: 0 };
  const spent = (): typeof before => {
    const agent = threadMicros(media.pid);
    const worker = agent.get('relay') ?? 0;
    const all = (threads: Map<string, number>): number => [...threads.values()].reduce((a, b) => a + b, 0);
    return { main: all(agent) - worker, worker, store: all(threadMicros(storePid)) };
  };
  const anchor = async (ports: number[]): Promise<number[]> => {
    const { targets = [] } = await media.ask({ do: 'anchor', ports });
    storePid = (await media.ask({ do: 'record' })).storePid ?? 0;
    return targets;
  };
  const traffic = await load(generator, 2 * calls, seconds, anchor, () => (before = spent()));
  say(`traffic ${JSON.stringify(traffic)}`);
  const talked = spent();
  const finished = await media.ask({ do: 'finish' });
  const after = spent();
  say(
    `while they talked ${JSON.stringify(shares(before, talked))}, to finish ${JSON.stringify(shares(talked, after))}`,
  );
  const { main, worker, store } = shares(before, after);
  const cores = main + worker + store;
  return {
    callsPerCore: Math.round(calls / cores),
    calls,
    missingRecordings: calls - (finished.stored ?? 0),
    completeness: Math.round(((finished.storedMs ?? 0) / 20 / (finished.copied ?? 1)) * 1e5) / 1e5,
    networkLoss: Math.max(0, 1 - traffic.received / traffic.sent),
    cpuByProcess: { 'agent main thread': main, 'relay worker': worker, store },
  };
}

interface Shares {
  main: number;
  worker: number;
  store: number;
}

/** Microseconds spent between two looks, in cores over the time that was spoken. */
function shares(from: Shares, to: Shares): Shares {
  const share = (part: keyof Shares): number =>
    Math.round(((to[part] - from[part]) / (seconds * 1e6)) * 1_000) / 1_000;
  return { main: share('main'), worker: share('worker'), store: share('store') };
}
