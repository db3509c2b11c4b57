/**
 * A relay worker: one thread, its own sockets, no message to anybody for a packet. While it has sessions it loops over
 * its sockets and its clock and looks at its commands when its bell is rung; without any it waits for commands and costs
 * nothing.
 */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../config/errors.ts';
import type { EpochMicros } from '../../config/units.ts';
import { newRtpHeader } from '../rtp/packet.ts';
import { monotonicMicros } from './clock.ts';
import { DrainRhythm } from './drain-rhythm.ts';
import type { Command, Numbered, Report, SideNumber, WorkerData } from './messages.ts';
import * as native from './native.ts';
import { PacketWay } from './packet-way.ts';
import { ParcelWriter } from './parcel.ts';
import { batchMs } from './worker-fork.ts';
import { WorkerSession, type Workbench } from './worker-session.ts';

const { commands, epochOffset, totals, memory, epoll, bell: bellFd } = workerData as WorkerData;
/** Copies are handed over together this often, or when there are this many bytes. */
const parcelMs = 100;
const parcelBytes = 512 * 1024;
/** Without anything to do by the clock a worker still looks up this often. */
const restMs = 1_000;

const bench: Workbench = {
  packet: new native.PacketMemory(),
  source: new Uint8Array(28),
  header: newRtpHeader(),
  words: new Float64Array(memory),
  totals: new Float64Array(totals),
  parcel: new ParcelWriter(),
  report: (report: Report, transfer = []) => commands.postMessage(report, transfer),
};
const bell = new native.Bell(bellFd);
const sockets = new native.SocketSet(epoll);
const rhythm = new DrainRhythm();
const sessions = new Map<number, WorkerSession>();
const playing = new Set<WorkerSession>();
const forked = new Set<WorkerSession>();

/** Sessions by the number of their caller's side in the worker's memory, halved. */
const places: (WorkerSession | undefined)[] = [];
const way = new PacketWay(bench, places);
/** Tags of sockets: RTP has its side's number, RTCP that and this; the bell is not a socket. */
const rtcpTag = 0x4000_0000;
const bellTag = -1;
/** `performance.now()` allocates nothing; this takes it to microseconds since the epoch. */
const epochAtZeroMs = (monotonicMicros() + epochOffset) / 1_000 - performance.now();

function micros(now: number): EpochMicros {
  return Math.floor((now + epochAtZeroMs) * 1_000) as EpochMicros;
}

function open(command: Extract<Command, { do: 'open' }>): void {
  const session = new WorkerSession(command, bench);
  sessions.set(session.id, session);
  places[session.place >> 1] = session;
  for (const [number, { rtp, rtcp }] of session.sides.entries()) {
    sockets.add(rtp.fd, session.place + number);
    sockets.add(rtcp.fd, (session.place + number) | rtcpTag);
  }
}

function close(session: WorkerSession): void {
  for (const { rtp, rtcp } of session.sides) {
    sockets.delete(rtp.fd);
    sockets.delete(rtcp.fd);
  }
  session.close();
  places[session.place >> 1] = undefined;
  sessions.delete(session.id);
  playing.delete(session);
  forked.delete(session);
}

function perform(command: Command, id: number): Report {
  const now = performance.now();
  const at = micros(now);
  const done: Report = { tell: 'done', id, at };
  if (command.do === 'open') {
    open(command);
    return done;
  }
  const session = sessions.get(command.session);
  if (session === undefined) return done;
  switch (command.do) {
    case 'close':
      close(session);
      return done;
    case 'agree':
      session.agree(command.side, command.terms);
      return done;
    case 'connect':
      session.connect(command.connected);
      return done;
    case 'play':
      session.ended(session.sides[command.side].play(command.playback, command.audio, command.repeat, now));
      playing.add(session);
      return done;
    case 'hush':
      session.ended(session.sides[command.side].hush(command.playback));
      return done;
    case 'listen':
      session.sides[command.side].listener = command.port;
      return done;
    case 'unlisten':
      session.sides[command.side].listener = undefined;
      return done;
    case 'fork':
      session.fork(command.fork, now);
      forked.add(session);
      return done;
    case 'pause':
      session.pause(command.paused);
      return done;
    case 'unfork': {
      const counts = session.unfork(now, at);
      forked.delete(session);
      // What was copied comes before the word that there is no more.
      shipParcel();
      return { tell: 'unforked', id, counts };
    }
  }
}

function obey({ id, command }: Numbered): void {
  try {
    bench.report(perform(command, id));
  } catch (error) {
    bench.report({ tell: 'failed', id, reason: messageOf(error) });
  }
}

function obeyAll(): void {
  bell.still();
  for (let next = receiveMessageOnPort(commands); next !== undefined; next = receiveMessageOnPort(commands))
    obey(next.message as Numbered);
}

function shipParcel(): void {
  if (bench.parcel.size === 0) return;
  const parcel = bench.parcel.take();
  bench.report({ tell: 'copies', parcel }, [parcel.buffer]);
}

/** Takes what has come on all sockets. @returns how many packets */
function drain(ready: number, now: number): number {
  const at = micros(now);
  let packets = 0;
  for (let index = 0; index < ready; index++) {
    const tag = sockets.ready(index);
    if (tag === bellTag) obeyAll();
    else if ((tag & rtcpTag) === 0) {
      if (places[tag >> 1] !== undefined) packets += way.drain(tag, now, at);
    } else {
      const side = tag & ~rtcpTag;
      places[side >> 1]?.drainRtcp((side & 1) as SideNumber, now);
    }
  }
  return packets;
}

function serve(): void {
  let shipAt = 0;
  let sweepAt = 0;
  while (sessions.size > 0) {
    const ticking = rhythm.rest(playing.size > 0);
    const ready = sockets.wait(ticking ? 0 : untilNext());
    const now = performance.now();
    rhythm.took(drain(ready, now), now);
    for (const session of playing) {
      session.advance(now);
      if (!session.playing) playing.delete(session);
    }
    if (now >= sweepAt) {
      for (const session of forked) session.flushIfDue(now);
      sweepAt = now + batchMs;
    }
    if (now >= shipAt || bench.parcel.size > parcelBytes) {
      shipParcel();
      shipAt = now + parcelMs;
    }
  }
  shipParcel();
}

/** Milliseconds that may pass before something must be done by the clock. */
function untilNext(): number {
  if (playing.size > 0) return 1;
  return bench.parcel.size > 0 ? parcelMs : forked.size > 0 ? batchMs : restMs;
}

sockets.add(bell.fd, bellTag);
commands.on('message', (numbered: Numbered) => {
  obey(numbered);
  serve();
});
