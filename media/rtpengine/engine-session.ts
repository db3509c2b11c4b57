/** A call's media at one rtpengine server. */
import { setImmediate } from 'node:timers/promises';
import type { CallId, EpochMicros, Side } from '../../config/units.ts';
import { messageOf, TacetError } from '../../config/errors.ts';
import {
  MediaUnavailable,
  type MediaFork,
  type MediaSession,
  type MediaSnapshot,
  type SessionStatistics,
  type SideStatistics,
} from '../plane.ts';
import type { Latching } from '../relay/messages.ts';
import type { Place } from '../relay/negotiation.ts';
import { Copies } from './copies.ts';
import { EngineCall, type EngineCounts } from './engine-call.ts';
import { EngineSide, type EngineSideHome } from './engine-side.ts';
import { Line } from './line.ts';
import { NgRefused, type NgClient } from './ng.ts';
import { SrtpGateway } from './srtp-gateway.ts';

export interface EngineSessionHome {
  call: CallId;
  server: NgClient;
  /** Its name at the server: never used twice. */
  id: string;
  /** Our own address, as the server reaches it. */
  address: string;
  latching: Latching;
  now: () => EpochMicros;
  totals: EngineTotals;
  closed: () => void;
}

/** Of all sessions since start. */
export interface EngineTotals {
  received: number;
  sent: number;
  strangers: number;
  malformed: number;
}

const sides: readonly Side[] = ['caller', 'agent'];

/** Half a second of speech without a single copy is no loss of the network. */
const deafAfterPackets = 25;

export class EngineSession implements MediaSession, EngineSideHome {
  readonly caller: EngineSide;
  readonly agent: EngineSide;
  readonly #home: EngineSessionHome;
  readonly #engine: EngineCall;
  readonly #lost = new AbortController();
  readonly #told = new Set<EngineSide>();
  /** All that were opened: a re-offer that fails goes back to the one before. */
  readonly #gateways: SrtpGateway[] = [];
  readonly #tapped: Record<Side, string> = { caller: '', agent: '' };
  readonly #heardSoFar = {
    caller: { received: 0, copied: 0 },
    agent: { received: 0, copied: 0 },
  };
  #copies: Copies | undefined;
  #connected = false;
  #joined = false;
  #closed = false;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(
    home: EngineSessionHome,
    engine: EngineCall,
    lines: Record<Side, Line>,
    anchors: Place[],
  ) {
    this.#home = home;
    this.#engine = engine;
    this.caller = new EngineSide('caller', lines.caller, anchors[0]!, this);
    this.agent = new EngineSide('agent', lines.agent, anchors[1]!, this);
    this.caller.other = this.agent;
    this.agent.other = this.caller;
  }

  /** @throws NgUnanswered @throws NgRefused, and the system's error when no socket can be had */
  static async open(home: EngineSessionHome): Promise<EngineSession> {
    await using opening = new AsyncDisposableStack();
    const session: { it?: EngineSession } = {};
    const server = await home.server.address();
    const openLine = async (side: Side): Promise<Line> =>
      opening.use(
        await Line.open(home.address, {
          server,
          onCopy: (packet) => session.it?.heard(side, packet),
          onStranger: () => void (home.totals.strangers += 1),
        }),
      );
    const lines = { caller: await openLine('caller'), agent: await openLine('agent') };
    const at = (side: Side): Place => ({ address: home.address, port: lines[side].port });
    const ours = { caller: at('caller'), agent: at('agent') };
    const engine = new EngineCall(home.server, home.id, ours, home.latching);
    const anchors = [await engine.reserve('caller')];
    opening.defer(() => engine.end().catch(() => undefined));
    anchors.push(await engine.reserve('agent'));
    session.it = new EngineSession(home, engine, lines, anchors);
    opening.move();
    return session.it;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  lose(reason: string): void {
    if (!this.#closed) this.#lost.abort(reason);
  }

  async connect(): Promise<void> {
    this.#connected = true;
    await this.#arrange();
  }

  async disconnect(): Promise<void> {
    this.#connected = false;
    await this.#arrange();
  }

  async agreed(side: EngineSide): Promise<void> {
    const failed = await this.#inTurn(async () => {
      await side.findFarEnd();
      const far = side.farEnd;
      if (far === undefined) return;
      side.line.out = await this.#engine.part(side.side, far);
      const spoken = JSON.stringify([far.codec, far.event]);
      if (this.#tapped[side.side] !== spoken) {
        side.line.tap = await this.#engine.tap(side.side, far);
        this.#tapped[side.side] = spoken;
      }
      this.#joined = false;
      await this.#join();
    });
    if (failed !== undefined) throw new MediaUnavailable(this.#home.call, failed);
  }

  async gateway(inner: Place): Promise<SrtpGateway> {
    const { server, id, latching } = this.#home;
    let opened: SrtpGateway | undefined;
    const failed = await this.#inTurn(async () => {
      const name = `${id}-srtp-${this.#gateways.length + 1}`;
      opened = await SrtpGateway.open(server, name, inner, latching);
      this.#gateways.push(opened);
    });
    if (opened === undefined) throw new MediaUnavailable(this.#home.call, failed ?? 'no SRTP');
    return opened;
  }

  async whileApart<Result>(side: EngineSide, run: () => Promise<Result>): Promise<Result> {
    this.#told.add(side);
    try {
      await this.#arrange();
      return await run();
    } finally {
      this.#told.delete(side);
      await this.#arrange();
    }
  }

  sent(frames: number): void {
    this.#home.totals.sent += frames;
  }

  async counts(): Promise<Record<Side, EngineCounts> | undefined> {
    try {
      return await this.#engine.counts();
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  async fork(write: (batch: Uint8Array) => void): Promise<MediaFork> {
    await this.#drained();
    const copies = new Copies(write);
    const startedAt = this.#home.now();
    this.#copies = copies;
    const pause = async (paused: boolean): Promise<EpochMicros> => {
      await this.#drained();
      copies.paused = paused;
      return this.#home.now();
    };
    return {
      startedAt,
      pause: () => pause(true),
      resume: () => pause(false),
      stop: async () => {
        await this.#drained();
        if (this.#copies === copies) this.#copies = undefined;
        copies[Symbol.dispose]();
        return copies.totals(this.#home.now());
      },
    };
  }

  async statistics(): Promise<SessionStatistics> {
    const counts = await this.counts();
    if (counts !== undefined) this.#checkHearing(counts);
    const of = (side: EngineSide, other: EngineSide): SideStatistics => ({
      packetsReceived: Math.max(counts?.[side.side].received ?? 0, side.packetsCopied),
      packetsSent: side.played + (this.#joined ? (counts?.[other.side].received ?? 0) : 0),
      packetsLost: side.packetsLost,
      wrongSource: 0,
      jitterMs: side.jitterMs,
      lastPacketAt: side.lastPacketAt,
    });
    return { caller: of(this.caller, this.agent), agent: of(this.agent, this.caller) };
  }

  snapshot(): Promise<MediaSnapshot> {
    const restores = sides.map((side) => this[side].snapshot());
    return Promise.resolve({
      restore: async () => {
        for (const restore of restores) await restore();
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#copies?.[Symbol.dispose]();
    for (const call of [...this.#gateways, this.#engine]) await this.#inTurn(() => call.end());
    for (const side of sides) this[side][Symbol.dispose]();
    this.#home.closed();
  }

  /** A packet that a far end sent, from the server. */
  heard(side: Side, packet: Uint8Array): void {
    if (this.#closed) return;
    const arrivedAt = this.#home.now();
    this.#home.totals.received += 1;
    if (this[side].hear(packet, arrivedAt)) this.#copies?.copy(side, packet, arrivedAt);
    else this.#home.totals.malformed += 1;
  }

  /** Joins or parts the far ends, as it ought to be now. When the server will not, `lost` says so. */
  async #arrange(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#shouldJoin() === this.#joined) return;
      if (!this.#joined) return this.#join();
      for (const side of sides) {
        const far = this[side].farEnd;
        if (far !== undefined) this[side].line.out = await this.#engine.part(side, far);
      }
      this.#joined = false;
    });
  }

  async #join(): Promise<void> {
    const [caller, agent] = [this.caller.farEnd, this.agent.farEnd];
    if (!this.#shouldJoin() || caller === undefined || agent === undefined) return;
    await this.#engine.join({ caller, agent });
    this.#joined = true;
  }

  /** A server sends to a far end that asked for silence (10.5 does): then only parting them keeps it silent. */
  #shouldJoin(): boolean {
    const held = sides.some((side) => this[side].remoteDirection === 'inactive');
    const agreed = sides.every((side) => this[side].farEnd !== undefined);
    return this.#connected && agreed && !held && this.#told.size === 0;
  }

  /** One thing at a time: two dialogues that change at once are mixed up. @returns why it failed */
  #inTurn(act: () => Promise<void>): Promise<string | undefined> {
    const turn = this.#turn.then(async () => {
      try {
        await act();
        return undefined;
      } catch (error) {
        this.#failed(error);
        return messageOf(error);
      }
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #failed(error: unknown): void {
    if (!(error instanceof TacetError)) throw error;
    if (this.#closed) return;
    if (!(error instanceof NgRefused) || error.callUnknown) this.lose(error.message);
  }

  /**
   * I2: a refusal that nobody hears is none. Who speaks at the server and comes to us no more is not heard: then the call
   * goes on without us, and its recording ends.
   */
  #checkHearing(counts: Record<Side, EngineCounts>): void {
    for (const side of sides) {
      const now = { received: counts[side].received, copied: this[side].packetsCopied };
      const before = this.#heardSoFar[side];
      if (now.copied === before.copied && now.received - before.received < deafAfterPackets) continue;
      if (now.copied === before.copied) this.lose(`copies of the ${side}'s packets come no more`);
      this.#heardSoFar[side] = now;
    }
  }

  /** What the server had for us before now has come to our sockets, and was read. */
  async #drained(): Promise<void> {
    await this.counts();
    await setImmediate();
  }
}
