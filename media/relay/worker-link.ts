/** The main thread's end of a relay worker: commands with their answers, and what the worker tells by itself. */
import { MessageChannel, Worker } from 'node:worker_threads';
import { TacetError } from '../../config/errors.ts';
import type { EpochMicros } from '../../config/units.ts';
import type { EpochOffset } from './clock.ts';
import { Bell, closeSocket, openEpoll } from './native.ts';
import { unpack } from './parcel.ts';
import { sideBytes } from './side-memory.ts';
import type { Command, ForkCounts, Report, WorkerData } from './messages.ts';

/** The worker could not do it, or is gone. */
export class WorkerRefused extends TacetError {
  constructor(reason: string) {
    super(`media worker: ${reason}`);
  }
}

type Heard = Extract<Report, { tell: 'digit' }>;

export interface WorkerEvents {
  onDigit: (digit: Heard) => void;
  onBatch: (fork: number, batch: Uint8Array) => void;
  /** Once, with the reason; every open command fails with it. */
  onGone: (reason: string) => void;
}

/** Sides that a worker has room for; at some thousand a core is full. */
const roomForSides = 8_192;

export class WorkerLink {
  readonly #worker: Worker;
  readonly #port;
  readonly #events: WorkerEvents;
  readonly #bell = new Bell();
  readonly #epoll = openEpoll();
  /** Of the worker's sides (`side-memory.ts`). */
  readonly #memory = new SharedArrayBuffer(roomForSides * sideBytes);
  /** The numbers of its sides; only the worker writes. */
  readonly words = new Float64Array(this.#memory);
  readonly #freePlaces: number[] = [];
  #places = 0;
  readonly #waiting = new Map<number, PromiseWithResolvers<{ at: EpochMicros } | ForkCounts>>();
  readonly #playbacks = new Map<number, (end: { frames: number; complete: boolean }) => void>();
  #lastId = 0;
  #lastPlayback = 0;
  #gone: string | undefined;

  constructor(epochOffset: EpochOffset, totals: SharedArrayBuffer, events: WorkerEvents) {
    const { port1, port2 } = new MessageChannel();
    const workerData: WorkerData = {
      commands: port2,
      epoll: this.#epoll,
      bell: this.#bell.fd,
      epochOffset,
      totals,
      memory: this.#memory,
    };
    this.#events = events;
    this.#port = port1;
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData,
      transferList: [port2],
      name: 'relay',
    });
    this.#worker.on('error', (error) => this.#lost(error instanceof Error ? error.message : String(error)));
    this.#worker.on('exit', (code) => this.#lost(`exited with ${code}`));
    port1.on('message', (report: Report) => this.#take(report));
  }

  get gone(): boolean {
    return this.#gone !== undefined;
  }

  /** Sessions that live in this worker. */
  get sessions(): number {
    return this.#places / 2 - this.#freePlaces.length;
  }

  /** Room in the worker's memory for a session: the number of its caller's side. @throws WorkerRefused */
  takePlace(): number {
    const free = this.#freePlaces.pop();
    if (free !== undefined) return free;
    if (this.#places + 2 > roomForSides) throw new WorkerRefused(`${roomForSides / 2} sessions are open`);
    this.#places += 2;
    return this.#places - 2;
  }

  givePlace(place: number): void {
    this.#freePlaces.push(place);
  }

  /** Sends a command; resolves when it has taken effect. @throws WorkerRefused */
  async command(command: Command): Promise<{ at: EpochMicros }> {
    return await this.#ask(command);
  }

  async unfork(session: number): Promise<ForkCounts> {
    return (await this.#ask({ do: 'unfork', session })) as ForkCounts;
  }

  /** A number for a playback, and how it ended. */
  playback(): { playback: number; ended: Promise<{ frames: number; complete: boolean }> } {
    const playback = ++this.#lastPlayback;
    const { promise, resolve } = Promise.withResolvers<{ frames: number; complete: boolean }>();
    this.#playbacks.set(playback, resolve);
    if (this.#gone !== undefined) this.#endPlayback(playback, 0, false);
    return { playback, ended: promise };
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
    this.#port.close();
  }

  #ask(command: Command): Promise<{ at: EpochMicros } | ForkCounts> {
    if (this.#gone !== undefined) return Promise.reject(new WorkerRefused(this.#gone));
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<{ at: EpochMicros } | ForkCounts>();
    this.#waiting.set(id, answer);
    this.#port.postMessage({ id, command }, command.do === 'listen' ? [command.port] : []);
    this.#bell.ring();
    return answer.promise;
  }

  #take(report: Report): void {
    switch (report.tell) {
      case 'done':
        this.#waiting.get(report.id)?.resolve({ at: report.at });
        this.#waiting.delete(report.id);
        return;
      case 'unforked':
        this.#waiting.get(report.id)?.resolve(report.counts);
        this.#waiting.delete(report.id);
        return;
      case 'failed':
        this.#waiting.get(report.id)?.reject(new WorkerRefused(report.reason));
        this.#waiting.delete(report.id);
        return;
      case 'played':
        this.#endPlayback(report.playback, report.frames, report.complete);
        return;
      case 'digit':
        this.#events.onDigit(report);
        return;
      case 'copies':
        unpack(report.parcel, this.#events.onBatch);
        return;
    }
  }

  #endPlayback(playback: number, frames: number, complete: boolean): void {
    this.#playbacks.get(playback)?.({ frames, complete });
    this.#playbacks.delete(playback);
  }

  #lost(reason: string): void {
    if (this.#gone !== undefined) return;
    this.#gone = reason;
    // Descriptors belong to the process: those of a thread that died stay open until somebody closes them.
    this.#bell.close();
    closeSocket(this.#epoll);
    for (const answer of this.#waiting.values()) answer.reject(new WorkerRefused(reason));
    this.#waiting.clear();
    for (const playback of [...this.#playbacks.keys()]) this.#endPlayback(playback, 0, false);
    this.#events.onGone(reason);
  }
}
