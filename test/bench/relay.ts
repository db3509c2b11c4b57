/**
 * What relaying a packet costs, beside rtpengine in userspace, on the same streams in one run: CPU time of the relay's
 * process divided by the packets that it passed on. The telephones are a process of their own.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CallId } from '../../config/units.ts';
import { openRelay } from '../../media/relay/relay.ts';
import { freePort, freePortRange } from '../peers/free-port.ts';
import { Program } from '../peers/program.ts';
import type { Answer, Order } from './rtp-generator.ts';

const seconds = 6;
const streamCounts = [300, 1_000];

interface Cost {
  usPerPacket: number;
  loss: number;
}

export async function run(say: (line: string) => void): Promise<Record<string, unknown>> {
  const results: Record<string, unknown>[] = [];
  for (const streams of streamCounts) {
    const tacet = await measureTacet(streams);
    const rtpengine = await measureRtpengine(streams);
    const result = {
      streams,
      loss: tacet.loss,
      tacetUsPerPacket: tacet.usPerPacket,
      rtpengineUsPerPacket: rtpengine.usPerPacket,
      ratioToRtpengine: Math.round((tacet.usPerPacket / rtpengine.usPerPacket) * 100) / 100,
    };
    say(JSON.stringify(result));
    results.push(result);
  }
  const worst = results.toSorted((a, b) => Number(b['ratioToRtpengine']) - Number(a['ratioToRtpengine']))[0]!;
  return { ...worst, perStreams: results };
}

/** The telephones: opens `streams` sockets, asks `anchor` where to send each pair, sends. */
async function measure(
  streams: number,
  cpuMicros: () => number,
  anchor: (a: number, b: number, call: number) => Promise<[number, number]>,
): Promise<Cost> {
  const generator = fork(fileURLToPath(new URL('./rtp-generator.ts', import.meta.url)));
  try {
    const { ports } = (await ask(generator, { do: 'open', sockets: streams })) as { ports: number[] };
    const targets: number[] = [];
    for (let call = 0; call < streams / 2; call++) {
      targets.push(...(await anchor(ports[2 * call]!, ports[2 * call + 1]!, call)));
    }
    const before = cpuMicros();
    const { sent, received } = (await ask(generator, { do: 'send', targets, seconds })) as {
      sent: number;
      received: number;
    };
    return {
      usPerPacket: Math.round(((cpuMicros() - before) / received) * 100) / 100,
      loss: Math.round((1 - received / sent) * 10_000) / 10_000,
    };
  } finally {
    generator.kill();
    await once(generator, 'exit');
  }
}

async function ask(generator: ChildProcess, order: Order): Promise<Answer> {
  const answer = once(generator, 'message');
  generator.send(order);
  return (await answer)[0] as Answer;
}

async function measureTacet(streams: number): Promise<Cost> {
  await using plane = openRelay({ address: '127.0.0.1', ports: { min: 20_000, max: 29_999 }, workers: 1 });
  const cpu = (): number => {
    const { user, system } = process.cpuUsage();
    return user + system;
  };
  return await measure(streams, cpu, async (a, b, call) => {
    const session = await plane.open(`bench-${call}` as CallId);
    const answer = await session.caller.answer(sdp(a));
    const offer = await session.agent.offer();
    await session.agent.accept(sdp(b));
    await session.connect();
    return [portOf(answer), portOf(offer)];
  });
}

async function measureRtpengine(streams: number): Promise<Cost> {
  const control = await freePort();
  const { min } = await freePortRange(2);
  await using rtpengine = await Program.start('rtpengine', [
    '--foreground',
    '--table=-1',
    '--interface=127.0.0.1',
    `--listen-ng=127.0.0.1:${control}`,
    `--listen-cli=127.0.0.1:${min}`,
    '--port-min=30000',
    '--port-max=39999',
    '--log-stderr',
    '--log-level=3',
    '--num-threads=1',
  ]);
  const socket = createSocket('udp4');
  const ng = async (cookie: number, command: Record<string, string | string[]>): Promise<string> => {
    for (let attempt = 0; attempt < 50; attempt++) {
      socket.send(`${cookie} ${bencode(command)}`, control, '127.0.0.1');
      const timeout = AbortSignal.timeout(200);
      const [reply] = await once(socket, 'message', { signal: timeout }).catch(
        () => [undefined] as [Buffer | undefined],
      );
      if (reply !== undefined) return String(reply);
    }
    throw new Error(`rtpengine does not answer:\n${rtpengine.output}`);
  };
  let cookie = 0;
  try {
    return await measure(
      streams,
      () => cpuOf(rtpengine.pid),
      async (a, b, call) => {
        const ids = { 'call-id': `bench-${call}`, 'from-tag': 'a', flags: ['trust-address'], ICE: 'remove' };
        const offer = await ng(++cookie, { command: 'offer', ...ids, sdp: sdp(a) });
        const answer = await ng(++cookie, { command: 'answer', ...ids, 'to-tag': 'b', sdp: sdp(b) });
        return [portOf(answer), portOf(offer)];
      },
    );
  } finally {
    socket.close();
  }
}

/** User and system time of a process in microseconds (proc(5): ticks of 10 ms). */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

function bencode(value: string | string[] | Record<string, string | string[]>): string {
  if (typeof value === 'string') return `${Buffer.byteLength(value)}:${value}`;
  if (Array.isArray(value)) return `l${value.map(bencode).join('')}e`;
  return `d${Object.keys(value)
    .sort()
    .map((key) => bencode(key) + bencode(value[key]!))
    .join('')}e`;
}

function sdp(port: number): string {
  return `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n`;
}

function portOf(description: string): number {
  return Number(/m=audio (\d+)/u.exec(description)?.[1]);
}
