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

const seconds = 3;
const streamCounts = [100, 300, 1_000];
/** The goals are for these. */
const judged = [300, 1_000];
/** The largest first: most machines carry it, and then nothing else is to be tried. */
const mostTried = [2_500, 2_000, 1_500];
const players = 200;
/** A host that is slow for a second falls on one of those that are compared: the middle of so many ratios counts. */
const turns = 3;
/** One turn at few streams keeps the whole run below five minutes. */
const recordedTurns = new Map([
  [300, 1],
  [1_000, turns],
]);

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
  for (const streams of streamCounts) {
    for (let turn = 0; turn < (judged.includes(streams) ? turns : 1); turn++) {
      compared.push({
        streams,
        tacet: told(`${streams} streams, tacet`, await measureTacet(tools, streams, false)),
        rtpengine: told(`${streams} streams, rtpengine`, await measureRtpengine(tools, streams, false)),
        floor: told(`${streams} streams, bare relay`, await measureBare(tools, streams)),
      });
    }
  }
  const recording = [];
  for (const streams of judged) {
    const ratios = [];
    for (let turn = 0; turn < recordedTurns.get(streams)!; turn++) {
      const tacet = told(`${streams} streams recorded, tacet`, await measureTacet(tools, streams, true));
      const rtpengine = told(
        `${streams} streams recorded, rtpengine`,
        await measureRtpengine(tools, streams, true),
      );
      ratios.push(tacet.usPerPacket / rtpengine.usPerPacket);
    }
    recording.push(middle(ratios));
  }
  const toRtpengine = ({ tacet, rtpengine }: Comparison): number => tacet.usPerPacket / rtpengine.usPerPacket;
  const of = (streams: number): Comparison[] => compared.filter((each) => each.streams === streams);
  /** The turn that counts: its ratio is the middle one. */
  const shown = streamCounts.map((streams) => middleBy(of(streams), toRtpengine));
  const largest = shown.at(-1)!;
  const sixty = Math.round((0.6 * 1e6) / 50 / largest.tacet.usPerPacket / 2) * 2;
  const loaded = told(`${sixty} streams, tacet`, await measureTacet(tools, sixty, false));
  const floorLoaded = told(`${sixty} streams, bare relay`, await measureBare(tools, sixty));
  const pacing = told(`${players} players`, await measurePacing(tools));
  if (pacing.packets === 0) throw new Error('no prompt was heard: there is no pacing to tell');
  const most = told('most streams', await findMost(tools, largest.streams));
  await writeFile(fileURLToPath(new URL('./relay.svg', import.meta.url)), plotRelay(shown));

  const worst = (ratio: (each: Comparison) => number): number =>
    round(Math.max(...judged.map((streams) => middle(of(streams).map(ratio)))));
  return {
    streams: largest.streams,
    loss: round(largest.tacet.loss),
    tacetUsPerPacket: round(largest.tacet.usPerPacket),
    rtpengineUsPerPacket: round(largest.rtpengine.usPerPacket),
    floorUsPerPacket: round(largest.floor.usPerPacket),
    ratioToRtpengine: worst(toRtpengine),
    ratioToFloor: worst(({ tacet, floor }) => tacet.usPerPacket / floor.usPerPacket),
    recordingRatioToRtpengine: round(Math.max(...recording)),
    addedP50Us: Math.max(...shown.map(({ tacet }) => tacet.p50Us)),
    addedP999Us: loaded.p999Us,
    floorP999Us: floorLoaded.p999Us,
    pacingP99Ms: round(pacing.p99Us / 1_000),
    maxStreamsPerCore: most,
    perStreams: shown,
  };
}

function middleBy<T>(all: readonly T[], of: (each: T) => number): T {
  return all.toSorted((a, b) => of(a) - of(b))[all.length >> 1]!;
}

function middle(values: readonly number[]): number {
  return middleBy(values, (value) => value);
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

async function weigh(
  { generator }: Tools,
  streams: number,
  pids: () => number[],
  anchor: (ports: number[]) => Promise<number[]>,
): Promise<Cost> {
  const spent = (): number => pids().reduce((sum, pid) => sum + cpuMicros(pid), 0);
  let before = 0;
  const traffic = await load(generator, streams, seconds, anchor, () => (before = spent()));
  return {
    ...traffic,
    usPerPacket: round((spent() - before) / traffic.received),
    loss: Math.max(0, 1 - traffic.received / traffic.sent),
  };
}

async function measureTacet(tools: Tools, streams: number, record: boolean): Promise<Cost> {
  await using media = await MediaUnderTest.start();
  const pids = [media.pid];
  const cost = await weigh(
    tools,
    streams,
    () => pids,
    async (ports) => {
      const { targets = [] } = await media.ask({ do: 'anchor', ports });
      if (!record) return targets;
      const { storePid } = await media.ask({ do: 'record' });
      if (storePid !== undefined) pids.push(storePid);
      return targets;
    },
  );
  if (record) await media.ask({ do: 'finish' });
  return cost;
}

async function measureRtpengine(tools: Tools, streams: number, record: boolean): Promise<Cost> {
  await using rtpengine = await Rtpengine.start(tools.folder);
  return await weigh(
    tools,
    streams,
    () => [rtpengine.pid],
    (ports) => rtpengine.anchor(ports, record),
  );
}

async function measureBare(tools: Tools, streams: number): Promise<Cost> {
  await using programs = new AsyncDisposableStack();
  let bare: Program | undefined;
  return await weigh(
    tools,
    streams,
    () => (bare === undefined ? [] : [bare.pid]),
    async (ports) => {
      bare = programs.use(await startOn(relayCore, tools.bare, ports.map(String)));
      return await portsOf(bare);
    },
  );
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
    const { loss } = await measureTacet(tools, streams, false);
    if (loss <= 0.001) return streams;
  }
  return known;
}
