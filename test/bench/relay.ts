/**
 * What relaying a packet costs, beside rtpengine in userspace and beside a bare relay in C, on the same streams in one
 * run: CPU time of the relay's process divided by the packets that reached the telephones. With recording: the store's
 * process too, which encrypts and syncs, against rtpengine writing pcap files.
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Program } from '../peers/program.ts';
import { temporaryFolder } from '../peers/temporary-folder.ts';
import { MediaUnderTest } from './media-under-test.ts';
import { plotRelay } from './relay-plot.ts';
import {
  build,
  cpuMicros,
  load,
  portsOf,
  relayCore,
  startOn,
  telephonesCore,
  type Traffic,
} from './rtp-load.ts';
import { Rtpengine } from './rtpengine.ts';

/** Of sending through each relay that is compared, in turns of two seconds. */
const seconds = 10;
const streamCounts = [100, 300, 1_000];
/** The goals are for these. */
const judged = [300, 1_000];
/** The largest first: most machines carry it, and then nothing else is to be tried. */
const mostTried = [2_500, 2_000, 1_500];
const players = 200;

export interface Cost extends Traffic {
  usPerPacket: number;
  loss: number;
}

export interface Comparison {
  streams: number;
  tacet: Cost;
  rtpengine: Cost;
  floor: Cost;
}

interface Tools {
  generator: string;
  bare: string;
  listener: string;
  folder: string;
}

export async function run(say: (line: string) => void): Promise<Record<string, unknown>> {
  await using folder = await temporaryFolder('bench');
  const tools: Tools = {
    generator: await build('rtp-generator', folder.path),
    bare: await build('bare-relay', folder.path),
    listener: await build('rtp-listener', folder.path),
    folder: folder.path,
  };
  const told = <T>(what: string, figures: T): T => {
    say(`${what} ${JSON.stringify(figures)}`);
    return figures;
  };
  const compared: Comparison[] = [];
  const recording: number[] = [];
  for (const streams of streamCounts) {
    const [tacet, rtpengine, floor] = await inTurns(tools, streams, [
      await startTacet(false),
      await startRtpengine(tools, false),
      startBare(tools),
    ]);
    compared.push(told('side by side', { streams, tacet, rtpengine, floor }));
  }
  for (const streams of judged) {
    const [tacet, rtpengine] = await inTurns(tools, streams, [
      await startTacet(true),
      await startRtpengine(tools, true),
    ]);
    told('recorded, side by side', { streams, tacet, rtpengine });
    recording.push(tacet.usPerPacket / rtpengine.usPerPacket);
  }
  const largest = compared.at(-1)!;
  const sixty = Math.round((0.6 * 1e6) / 50 / largest.tacet.usPerPacket / 2) * 2;
  const [loaded, floorLoaded] = await inTurns(tools, sixty, [await startTacet(false), startBare(tools)]);
  told('at 60 % of a core, side by side', { streams: sixty, tacet: loaded, floor: floorLoaded });
  const pacing = told(`${players} players`, await measurePacing(tools));
  if (pacing.packets === 0) throw new Error('no prompt was heard: there is no pacing to tell');
  const most = told('most streams', await findMost(tools, largest.streams));
  await writeFile(fileURLToPath(new URL('./relay.svg', import.meta.url)), plotRelay(compared));

  const worst = (peer: 'rtpengine' | 'floor'): number =>
    round(
      Math.max(
        ...compared
          .filter(({ streams }) => judged.includes(streams))
          .map((each) => each.tacet.usPerPacket / each[peer].usPerPacket),
      ),
    );
  return {
    streams: largest.streams,
    loss: round(largest.tacet.loss),
    tacetUsPerPacket: round(largest.tacet.usPerPacket),
    rtpengineUsPerPacket: round(largest.rtpengine.usPerPacket),
    floorUsPerPacket: round(largest.floor.usPerPacket),
    ratioToRtpengine: worst('rtpengine'),
    ratioToFloor: worst('floor'),
    recordingRatioToRtpengine: round(Math.max(...recording)),
    addedP50Us: Math.max(...compared.map(({ tacet }) => tacet.p50Us)),
    addedP999Us: loaded.usualP999Us,
    floorP999Us: floorLoaded.usualP999Us,
    pacingP99Ms: round(pacing.p99Us / 1_000),
    maxStreamsPerCore: most,
    perStreams: compared,
  };
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

/** A relay that runs, and what it costs. */
interface Weighed extends AsyncDisposable {
  pids(): readonly number[];
  /** Puts telephones two by two through it. @returns where each must send */
  anchor(ports: number[]): Promise<number[]>;
  /** When all has been sent. */
  end?(): Promise<unknown>;
}

/**
 * The same load for each of several relays on the same core, turn by turn: what else the machine does meanwhile falls on
 * all of them. Ends them.
 */
async function inTurns<Relays extends readonly Weighed[]>(
  { generator }: Tools,
  streams: number,
  relays: readonly [...Relays],
): Promise<{ [Each in keyof Relays]: Cost }> {
  await using running = new AsyncDisposableStack();
  for (const relay of relays) running.use(relay);
  const weigh = async (relay: Weighed, which: number): Promise<Cost> => {
    const spent = (): number => relay.pids().reduce((sum, pid) => sum + cpuMicros(pid), 0);
    let before = 0;
    const traffic = await load(
      generator,
      streams,
      seconds,
      (ports) => relay.anchor(ports),
      () => (before = spent()),
      { which, of: relays.length },
    );
    const cost = {
      ...traffic,
      usPerPacket: round((spent() - before) / traffic.received),
      loss: Math.max(0, 1 - traffic.received / traffic.sent),
    };
    await relay.end?.();
    return cost;
  };
  return (await Promise.all(relays.map(weigh))) as { [Each in keyof Relays]: Cost };
}

async function startTacet(record: boolean): Promise<Weighed> {
  const media = await MediaUnderTest.start();
  const pids = [media.pid];
  return {
    pids: () => pids,
    async anchor(ports) {
      const { targets = [] } = await media.ask({ do: 'anchor', ports });
      if (!record) return targets;
      const { storePid } = await media.ask({ do: 'record' });
      if (storePid !== undefined) pids.push(storePid);
      return targets;
    },
    end: async () => record && (await media.ask({ do: 'finish' })),
    [Symbol.asyncDispose]: () => media[Symbol.asyncDispose](),
  };
}

async function startRtpengine({ folder }: Tools, record: boolean): Promise<Weighed> {
  const rtpengine = await Rtpengine.start(folder);
  return {
    pids: () => [rtpengine.pid],
    anchor: (ports) => rtpengine.anchor(ports, record),
    [Symbol.asyncDispose]: () => rtpengine[Symbol.asyncDispose](),
  };
}

/** It is told the telephones' ports as it starts. */
function startBare({ bare }: Tools): Weighed {
  let program: Program | undefined;
  return {
    pids: () => (program === undefined ? [] : [program.pid]),
    async anchor(ports) {
      program = await startOn(relayCore, bare, ports.map(String));
      return await portsOf(program);
    },
    async [Symbol.asyncDispose]() {
      await program?.stop();
    },
  };
}

/** Prompts to many callers at once: how far from its instant each packet leaves. */
async function measurePacing({
  listener,
}: Tools): Promise<{ packets: number; p50Us: number; p99Us: number }> {
  await using media = await MediaUnderTest.start();
  await using telephones = await startOn(telephonesCore, listener, [String(players), String(seconds)]);
  const ports = await portsOf(telephones);
  // A telephone for the agent's side of each call, which hears nothing.
  await media.ask({ do: 'anchor', ports: ports.flatMap((port) => [port, port]) });
  await media.ask({ do: 'play', seconds });
  const [result] = await telephones.printed(/^\{.*\}$/mu, (seconds + 20) * 1_000);
  return JSON.parse(result) as { packets: number; p50Us: number; p99Us: number };
}

/** The largest number of streams of those tried of which one worker loses less than one packet in a thousand. */
async function findMost(tools: Tools, known: number): Promise<number> {
  for (const streams of mostTried) {
    const [{ loss }] = await inTurns(tools, streams, [await startTacet(false)]);
    if (loss <= 0.001) return streams;
  }
  return known;
}
