/**
 * What relaying a packet costs, beside rtpengine in userspace and beside a bare relay in C, on the same streams in one
 * run: CPU time of the relay's process divided by the packets that reached the telephones.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../peers/temporary-folder.ts';
import type { Answer, Order } from './relay-process.ts';
import { build, cpuMicros, load, portsOf, relayCore, startOn, type Traffic } from './rtp-load.ts';
import { Rtpengine } from './rtpengine.ts';

const seconds = Number(process.env['BENCH_SECONDS'] ?? 6);

interface Cost extends Traffic {
  usPerPacket: number;
  loss: number;
}

interface Tools {
  generator: string;
  bare: string;
  folder: string;
}

export async function run(say: (line: string) => void): Promise<Record<string, unknown>> {
  await using folder = await temporaryFolder('bench');
  const generator = await build('rtp-generator', folder.path);
  const bare = await build('bare-relay', folder.path);
  const tools = { generator, bare, folder: folder.path };
  const results = [];
  for (const streams of (process.env['STREAMS'] ?? '300,1000').split(',').map(Number)) {
    const tacet = await measureTacet(tools, streams);
    say(`tacet ${JSON.stringify(tacet)}`);
    const floor = await measureBare(tools, streams);
    say(`floor ${JSON.stringify(floor)}`);
    const rtpengine = process.env['NORTPE'] ? floor : await measureRtpengine(tools, streams, false);
    say(`rtpengine ${JSON.stringify(rtpengine)}`);
    results.push({ streams, e: tacet.usPerPacket / rtpengine.usPerPacket, f: tacet.usPerPacket / floor.usPerPacket });
    say(JSON.stringify(results.at(-1)));
  }
  return { results };
}

async function weigh(
  { generator }: Tools,
  streams: number,
  pid: number,
  anchor: (ports: number[]) => Promise<number[]>,
): Promise<Cost> {
  let before = 0;
  const traffic = await load(generator, streams, seconds, anchor, () => (before = cpuMicros(pid)));
  return {
    ...traffic,
    usPerPacket: (cpuMicros(pid) - before) / traffic.received,
    loss: 1 - traffic.received / traffic.sent,
  };
}

async function measureTacet(tools: Tools, streams: number): Promise<Cost> {
  const child = fork(fileURLToPath(new URL('./relay-process.ts', import.meta.url)), {execArgv: (process.env['EXECARGV'] ?? '').split(' ').filter((x) => x)});
  try {
    const pinned = await startOn(relayCore, 'true', []);
    await pinned.exited;
    return await weigh(tools, streams, child.pid!, async (ports) => {
      child.send({ do: 'anchor', ports } satisfies Order);
      return ((await once(child, 'message'))[0] as Answer).targets;
    });
  } finally {
    child.disconnect();
    await once(child, 'exit');
  }
}

async function measureBare(tools: Tools, streams: number): Promise<Cost> {
  await using started: { program?: Awaited<ReturnType<typeof startOn>> } & AsyncDisposable = {
    [Symbol.asyncDispose]: async () => started.program?.[Symbol.asyncDispose](),
  };
  let before = 0;
  const traffic = await load(tools.generator, streams, seconds, async (ports) => {
    started.program = await startOn(relayCore, tools.bare, ports.map(String));
    return await portsOf(started.program);
  }, () => (before = cpuMicros(started.program!.pid)));
  return {
    ...traffic,
    usPerPacket: (cpuMicros(started.program!.pid) - before) / traffic.received,
    loss: 1 - traffic.received / traffic.sent,
  };
}

async function measureRtpengine(tools: Tools, streams: number, record: boolean): Promise<Cost> {
  await using rtpengine = await Rtpengine.start(tools.folder);
  return await weigh(tools, streams, rtpengine.pid, (ports) => rtpengine.anchor(ports, record));
}
