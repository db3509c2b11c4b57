/** The embedded media plane: worker threads that relay RTP, one call in one worker. */
import { cpus } from 'node:os';
import type { CallId, EpochMicros } from '../../config/units.ts';
import { messageOf } from '../../config/errors.ts';
import {
  MediaUnavailable,
  type ForkTotals,
  type MediaFork,
  type MediaPlane,
  type MediaSession,
  type MediaSnapshot,
  type PlaneStatistics,
  type SessionStatistics,
  type SideStatistics,
} from '../plane.ts';
import { anchorClock, epochMicros, type EpochOffset } from './clock.ts';
import { sideFields, totals, type Latching, type SideNumber } from './messages.ts';
import { PortRange } from './ports.ts';
import { RelaySide } from './relay-side.ts';
import { WorkerLink, WorkerRefused } from './worker-link.ts';

export interface RelayOptions {
  /** Local address of the RTP sockets. */
  address: string;
  /** Address in our SDP where it differs (static NAT). */
  advertise?: string | undefined;
  ports: { min: number; max: number };
  /** Threads; by default one for every two cores. */
  workers?: number;
  latching?: Latching;
  epochOffset?: EpochOffset;
}

/** Starts the relay. Workers are replaced when they die; their sessions are lost (`MediaSession.lost`). */
export function openRelay(options: RelayOptions): MediaPlane {
  return new Relay(options);
}

const g711TicksPerMs = 8;

class Relay implements MediaPlane {
  readonly #options: RelayOptions;
  readonly #ports: PortRange;
  readonly #epochOffset: EpochOffset;
  readonly #totals = new SharedArrayBuffer(totals.size * 8);
  readonly #sessions = new Map<number, RelaySession>();
  readonly #forks = new Map<number, (batch: Uint8Array) => void>();
  readonly #workers: WorkerLink[] = [];
  #lastSession = 0;
  #lastFork = 0;
  #closed = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#ports = new PortRange(options.ports);
    this.#epochOffset = options.epochOffset ?? anchorClock();
    const count = options.workers ?? Math.max(1, Math.floor(cpus().length / 2));
    for (let index = 0; index < count; index++) this.#workers.push(this.#startWorker(index));
  }

  async open(call: CallId): Promise<MediaSession> {
    const id = ++this.#lastSession;
    const link = this.#workers[id % this.#workers.length]!;
    const statistics = new SharedArrayBuffer(2 * sideFields.size * 8);
    const { address, latching = 'address' } = this.#options;
    // A port of the range may be another program's: try others, but not for ever in the set-up of a call.
    for (let attempt = 0; attempt < 8; attempt++) {
      const ports = this.#takePair();
      if (ports === undefined) throw new MediaUnavailable(call, 'all RTP ports are in use');
      try {
        await link.command({ do: 'open', session: id, address, ports, latching, statistics });
      } catch (error) {
        for (const port of ports) this.#ports.put(port);
        if (error instanceof WorkerRefused && error.portTaken) continue;
        throw new MediaUnavailable(call, messageOf(error));
      }
      const session = new RelaySession(id, link, ports, statistics, {
        address: this.#options.advertise ?? address,
        newFork: (write) => this.#newFork(write),
        endFork: (fork) => this.#forks.delete(fork),
        now: () => epochMicros(this.#epochOffset),
        closed: () => {
          this.#sessions.delete(id);
          for (const port of ports) this.#ports.give(port);
        },
      });
      this.#sessions.set(id, session);
      return session;
    }
    throw new MediaUnavailable(call, 'every RTP port that was tried belongs to another program');
  }

  statistics(): PlaneStatistics {
    const counted = new Float64Array(this.#totals);
    return {
      sessions: this.#sessions.size,
      packetsReceived: counted[totals.packetsReceived]!,
      packetsSent: counted[totals.packetsSent]!,
      packetsDropped: {
        'wrong-source': counted[totals['wrong-source']]!,
        malformed: counted[totals.malformed]!,
        'unknown-payload': counted[totals['unknown-payload']]!,
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#sessions.values()].map((session) => session[Symbol.asyncDispose]()));
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #takePair(): [number, number] | undefined {
    const caller = this.#ports.take();
    const agent = this.#ports.take();
    if (caller !== undefined && agent !== undefined) return [caller, agent];
    if (caller !== undefined) this.#ports.put(caller);
    return undefined;
  }

  #newFork(write: (batch: Uint8Array) => void): number {
    const fork = ++this.#lastFork;
    this.#forks.set(fork, write);
    return fork;
  }

  #startWorker(index: number): WorkerLink {
    const link: WorkerLink = new WorkerLink(this.#epochOffset, this.#totals, {
      onDigit: ({ session, side, digit, at }) =>
        this.#sessions.get(session)?.sides[side].heard({ digit, at }),
      onBatch: (fork, batch) => this.#forks.get(fork)?.(batch),
      onGone: (reason) => {
        for (const session of this.#sessions.values()) if (session.link === link) session.lose(reason);
        if (!this.#closed) this.#workers[index] = this.#startWorker(index);
      },
    });
    return link;
  }
}

interface SessionHome {
  address: string;
  newFork: (write: (batch: Uint8Array) => void) => number;
  endFork: (fork: number) => void;
  now: () => EpochMicros;
  closed: () => void;
}

class RelaySession implements MediaSession {
  readonly link: WorkerLink;
  readonly sides: readonly [RelaySide, RelaySide];
  readonly #id: number;
  readonly #statistics: Float64Array;
  readonly #home: SessionHome;
  readonly #lost = new AbortController();
  #closed = false;

  constructor(
    id: number,
    link: WorkerLink,
    ports: [number, number],
    statistics: SharedArrayBuffer,
    home: SessionHome,
  ) {
    this.#id = id;
    this.link = link;
    this.#statistics = new Float64Array(statistics);
    this.#home = home;
    const at = { session: id, link, address: home.address };
    this.sides = [
      new RelaySide({ ...at, side: 'caller', number: 0, port: ports[0] }),
      new RelaySide({ ...at, side: 'agent', number: 1, port: ports[1] }),
    ];
    this.sides[0].other = this.sides[1];
    this.sides[1].other = this.sides[0];
  }

  get caller(): RelaySide {
    return this.sides[0];
  }

  get agent(): RelaySide {
    return this.sides[1];
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  lose(reason: string): void {
    this.#lost.abort(reason);
  }

  async connect(): Promise<void> {
    await this.#bridge(true);
  }

  async disconnect(): Promise<void> {
    await this.#bridge(false);
  }

  /** When the worker is gone, `lost` has said so: the call goes on, and is the one to decide how. */
  async #bridge(connected: boolean): Promise<void> {
    try {
      await this.link.command({ do: 'connect', session: this.#id, connected });
    } catch (error) {
      if (!(error instanceof WorkerRefused)) throw error;
    }
  }

  async fork(write: (batch: Uint8Array) => void): Promise<MediaFork> {
    const fork = this.#home.newFork(write);
    const { at: startedAt } = await this.link.command({ do: 'fork', session: this.#id, fork });
    const pause = async (paused: boolean): Promise<EpochMicros> =>
      (await this.link.command({ do: 'pause', session: this.#id, paused })).at;
    return {
      startedAt,
      pause: () => pause(true),
      resume: () => pause(false),
      stop: async (): Promise<ForkTotals> => {
        try {
          const { at, packets, bytes } = await this.link.unfork(this.#id);
          return {
            stoppedAt: at,
            packets: { caller: packets[0], agent: packets[1] },
            bytes: { caller: bytes[0], agent: bytes[1] },
          };
        } catch (error) {
          if (!(error instanceof WorkerRefused)) throw error;
          // The worker died with its counts: the store knows what reached it.
          const none = { caller: 0, agent: 0 };
          return { stoppedAt: this.#home.now(), packets: none, bytes: none };
        } finally {
          this.#home.endFork(fork);
        }
      },
    };
  }

  statistics(): Promise<SessionStatistics> {
    return Promise.resolve({ caller: this.#side(0), agent: this.#side(1) });
  }

  snapshot(): Promise<MediaSnapshot> {
    const restores = this.sides.map((side) => side.snapshot());
    return Promise.resolve({
      restore: async () => {
        await Promise.all(restores.map((restore) => restore()));
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.link.command({ do: 'close', session: this.#id });
    } catch (error) {
      // A dead worker's sockets are closed with it.
      if (!(error instanceof WorkerRefused)) throw error;
    } finally {
      this.#home.closed();
    }
  }

  #side(number: SideNumber): SideStatistics {
    const field = (index: number): number => this.#statistics[number * sideFields.size + index]!;
    const last = field(sideFields.lastPacketAt);
    return {
      packetsReceived: field(sideFields.packetsReceived),
      packetsSent: field(sideFields.packetsSent),
      packetsLost: field(sideFields.packetsLost),
      wrongSource: field(sideFields.wrongSource),
      jitterMs: field(sideFields.jitterTicks) / g711TicksPerMs,
      lastPacketAt: last === 0 ? undefined : (last as EpochMicros),
    };
  }
}
