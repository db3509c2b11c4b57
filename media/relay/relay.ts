/** The embedded media plane: worker threads that relay RTP, one call in one worker. */
import { availableParallelism } from 'node:os';
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
import { lostPackets, receiverWords } from '../rtp/receiver.ts';
import { mediaInterfaces, type InterfaceOptions, type MediaInterface, type SidePorts } from './interfaces.ts';
import { totals, type SideNumber } from './messages.ts';
import { RelaySide } from './relay-side.ts';
import { sideWords } from './side-memory.ts';
import { WorkerLink, WorkerRefused } from './worker-link.ts';

export interface RelayOptions extends InterfaceOptions {
  /** Interfaces of the customer's side and of the call centre's, where they are others. */
  outside?: InterfaceOptions | undefined;
  inside?: InterfaceOptions | undefined;
  ports: { min: number; max: number };
  /** Threads; by default one a core, one core left for signalling. */
  workers?: number | undefined;
  epochOffset?: EpochOffset;
}

/** Starts the relay. Workers are replaced when they die; their sessions are lost (`MediaSession.lost`). */
export function openRelay(options: RelayOptions): MediaPlane {
  return new Relay(options);
}

class Relay implements MediaPlane {
  readonly #interfaces: readonly [MediaInterface, MediaInterface];
  readonly #epochOffset: EpochOffset;
  readonly #totals = new SharedArrayBuffer(totals.size * 8);
  readonly #sessions = new Map<number, RelaySession>();
  readonly #forks = new Map<number, (batch: Uint8Array) => void>();
  readonly #workers: WorkerLink[] = [];
  #lastSession = 0;
  #lastFork = 0;
  #closed = false;

  constructor(options: RelayOptions) {
    const { outside = options, inside = options } = options;
    this.#interfaces = mediaInterfaces([outside, inside], options.ports);
    this.#epochOffset = options.epochOffset ?? anchorClock();
    const count = options.workers ?? Math.max(1, availableParallelism() - 1);
    for (let index = 0; index < count; index++) this.#workers.push(this.#startWorker(index));
  }

  async open(call: CallId): Promise<MediaSession> {
    const id = ++this.#lastSession;
    const link = this.#leastLoaded();
    const held = new DisposableStack();
    try {
      const sides = this.#interfaces.map((each) => held.use(each.open()));
      const [caller, agent] = [sides[0]!, sides[1]!];
      const place = link.takePlace();
      held.defer(() => link.givePlace(place));
      await link.command({ do: 'open', session: id, place, sides: [caller.sockets, agent.sockets] });
      const session = new RelaySession(id, link, [caller, agent], place, {
        newFork: (write) => this.#newFork(write),
        endFork: (fork) => this.#forks.delete(fork),
        now: () => epochMicros(this.#epochOffset),
        closed: () => {
          this.#sessions.delete(id);
          held.dispose();
        },
      });
      this.#sessions.set(id, session);
      return session;
    } catch (error) {
      held.dispose();
      throw new MediaUnavailable(call, messageOf(error));
    }
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
        unauthentic: counted[totals.unauthentic]!,
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#sessions.values()].map((session) => session[Symbol.asyncDispose]()));
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #leastLoaded(): WorkerLink {
    return this.#workers.reduce((least, each) => (each.sessions < least.sessions ? each : least));
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
  newFork: (write: (batch: Uint8Array) => void) => number;
  endFork: (fork: number) => void;
  now: () => EpochMicros;
  closed: () => void;
}

class RelaySession implements MediaSession {
  readonly link: WorkerLink;
  readonly sides: readonly [RelaySide, RelaySide];
  readonly #id: number;
  readonly #place: number;
  readonly #home: SessionHome;
  readonly #lost = new AbortController();
  #closed = false;

  constructor(id: number, link: WorkerLink, ports: [SidePorts, SidePorts], place: number, home: SessionHome) {
    this.#id = id;
    this.link = link;
    this.#place = place;
    this.#home = home;
    const at = { session: id, link };
    this.sides = [
      new RelaySide({ ...at, side: 'caller', number: 0, address: ports[0].address, port: ports[0].port }),
      new RelaySide({ ...at, side: 'agent', number: 1, address: ports[1].address, port: ports[1].port }),
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
      for (const side of this.sides) side[Symbol.dispose]();
      this.#home.closed();
    }
  }

  #side(number: SideNumber): SideStatistics {
    const { words } = this.link;
    const first = (this.#place + number) * sideWords.size;
    const receiver = first + sideWords.receiver;
    const last = words[first + sideWords.lastPacketAt]!;
    return {
      packetsReceived: words[receiver + receiverWords.packets]!,
      packetsSent: words[first + sideWords.packetsSent]!,
      packetsLost: lostPackets(words, receiver),
      wrongSource: words[first + sideWords.wrongSource]!,
      jitterMs: words[receiver + receiverWords.jitter]! / words[receiver + receiverWords.ticksPerMs]!,
      lastPacketAt: last === 0 ? undefined : (last as EpochMicros),
    };
  }
}
