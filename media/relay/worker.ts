/**
 * A relay worker: one thread, its own sockets, no message to anybody for a packet. While it has sessions it loops over
 * its sockets and its clock and looks at its commands between; without any it waits for commands and costs nothing.
 */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../config/errors.ts';
import type { EpochMicros } from '../../config/units.ts';
import { newRtpHeader } from '../rtp/packet.ts';
import { monotonicMicros } from './clock.ts';
import type { Command, Numbered, Report, SideNumber, WorkerData } from './messages.ts';
import * as native from './native.ts';
import { WorkerSession, type Workbench } from './worker-session.ts';

const { commands, epochOffset, totals } = workerData as WorkerData;
/** EADDRINUSE on Linux. */
const portTaken = 98;
/**
 * From this many busy sockets on, a wake-up a packet costs more than the packet: the loop then sleeps to the next
 * millisecond and takes all that has come. Below, a packet does not wait for company.
 */
const busySockets = 8;

const bench: Workbench = {
  buffer: new Uint8Array(native.largestPacket),
  source: new Uint8Array(28),
  header: newRtpHeader(),
  totals: new Float64Array(totals),
  report: (report: Report, transfer = []) => commands.postMessage(report, transfer),
};
const sockets = new native.SocketSet();
const sessions = new Map<number, WorkerSession>();
const owners = new Map<number, { session: WorkerSession; side: SideNumber; rtcp: boolean }>();
const sleeper = new Int32Array(new SharedArrayBuffer(4));
/** `performance.now()` allocates nothing; this takes it to microseconds since the epoch. */
const epochAtZeroMs = (monotonicMicros() + epochOffset) / 1_000 - performance.now();

function micros(now: number): EpochMicros {
  return Math.floor((now + epochAtZeroMs) * 1_000) as EpochMicros;
}

function perform(command: Command): Report | { at: EpochMicros } {
  const now = performance.now();
  const at = micros(now);
  if (command.do === 'open') {
    const session = new WorkerSession(command, bench);
    sessions.set(session.id, session);
    for (const side of [0, 1] as const) {
      const { fd, rtcpFd } = session.sides[side];
      owners.set(fd, { session, side, rtcp: false });
      owners.set(rtcpFd, { session, side, rtcp: true });
      sockets.add(fd);
      sockets.add(rtcpFd);
    }
    return { at };
  }
  const session = sessions.get(command.session);
  if (session === undefined) return { at };
  switch (command.do) {
    case 'close':
      for (const { fd, rtcpFd } of session.sides) {
        owners.delete(fd);
        owners.delete(rtcpFd);
        sockets.delete(fd);
        sockets.delete(rtcpFd);
      }
      session.close();
      sessions.delete(session.id);
      return { at };
    case 'agree':
      session.sides[command.side].agree(command.terms);
      return { at };
    case 'connect':
      session.connect(command.connected);
      return { at };
    case 'play':
      session.ended(session.sides[command.side].play(command.playback, command.audio, command.repeat, now));
      return { at };
    case 'hush':
      session.ended(session.sides[command.side].hush(command.playback));
      return { at };
    case 'fork':
      session.fork(command.fork, now);
      return { at };
    case 'pause':
      session.pause(command.paused);
      return { at };
    case 'unfork':
      return { tell: 'unforked', id: 0, counts: session.unfork(now, at) };
  }
}

function obey({ id, command }: Numbered): void {
  try {
    const done = perform(command);
    if ('tell' in done && done.tell === 'unforked') bench.report({ ...done, id });
    else if ('at' in done) bench.report({ tell: 'done', id, at: done.at });
  } catch (error) {
    const taken = error instanceof native.SystemCallFailed && error.errno === portTaken;
    bench.report({ tell: 'failed', id, reason: messageOf(error), portTaken: taken });
  }
}

function serve(): void {
  let busy = false;
  while (sessions.size > 0) {
    for (
      let next = receiveMessageOnPort(commands);
      next !== undefined;
      next = receiveMessageOnPort(commands)
    ) {
      obey(next.message as Numbered);
    }
    if (busy) Atomics.wait(sleeper, 0, 0, 1 - (performance.now() % 1));
    const ready = sockets.wait(busy ? 0 : 1);
    const now = performance.now();
    const at = micros(now);
    for (let index = 0; index < ready; index++) {
      const owner = owners.get(sockets.ready(index));
      if (owner === undefined) continue;
      if (owner.rtcp) owner.session.drainRtcp(owner.side);
      else owner.session.drain(owner.side, now, at);
    }
    busy = ready >= busySockets;
    for (const session of sessions.values()) if (session.clocked) session.advance(now);
  }
}

commands.on('message', (numbered: Numbered) => {
  obey(numbered);
  serve();
});
