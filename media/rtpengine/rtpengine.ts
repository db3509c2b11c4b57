/** The media plane that is rtpengine: one or several servers, asked over NG. */
import { randomBytes } from 'node:crypto';
import { messageOf } from '../../config/errors.ts';
import type { CallId, EpochMicros } from '../../config/units.ts';
import { MediaUnavailable, type MediaPlane, type MediaSession, type PlaneStatistics } from '../plane.ts';
import { anchorClock, epochMicros, type EpochOffset } from '../relay/clock.ts';
import type { Latching } from '../relay/messages.ts';
import { EngineSession, type EngineTotals } from './engine-session.ts';
import type { NgClient } from './ng.ts';
import { Servers, type EngineServer, type EngineState } from './servers.ts';
import { tryServer } from './trial.ts';

export interface RtpengineOptions {
  servers: readonly EngineServer[];
  /** Local address that the servers reach: our prompts leave from it, copies come to it. */
  address: string;
  /** From whom the servers take RTP; by default from where the SDP says alone. */
  latching?: Latching;
  pingMs?: number;
  epochOffset?: EpochOffset;
  /** A server came, went, or cannot do what calls need. */
  onServer?: (state: EngineState & { why: string | undefined }) => void;
}

export interface RtpenginePlane extends MediaPlane {
  servers(): EngineState[];
}

/**
 * Opens the plane when each server has been tried once, which takes some seconds where one is silent. Servers are taken
 * into use as they answer and have shown what they can, now or later.
 */
export async function openRtpengine(options: RtpengineOptions): Promise<RtpenginePlane> {
  const plane = new Rtpengine(options);
  await plane.tried();
  return plane;
}

class Rtpengine implements RtpenginePlane {
  readonly #options: RtpengineOptions;
  readonly #epochOffset: EpochOffset;
  readonly #sessions = new Map<EngineSession, NgClient>();
  readonly #totals: EngineTotals = { received: 0, sent: 0, strangers: 0, malformed: 0 };
  readonly #servers: Servers;

  constructor(options: RtpengineOptions) {
    this.#options = options;
    this.#epochOffset = options.epochOffset ?? anchorClock();
    this.#servers = new Servers({
      servers: options.servers,
      pingMs: options.pingMs ?? 1_000,
      trial: (client) => tryServer(client, options.address),
      onChange: (state) => options.onServer?.(state),
      onDown: (client, why) => {
        for (const [session, server] of this.#sessions) if (server === client) session.lose(why);
      },
    });
  }

  async open(call: CallId): Promise<MediaSession> {
    let why = 'no rtpengine server is up';
    for (const server of this.#servers.inOrder()) {
      try {
        return await this.#openAt(server, call);
      } catch (error) {
        why = messageOf(error);
      }
    }
    throw new MediaUnavailable(call, why);
  }

  tried(): Promise<void> {
    return this.#servers.tried();
  }

  servers(): EngineState[] {
    return this.#servers.states();
  }

  statistics(): PlaneStatistics {
    const { received, sent, strangers, malformed } = this.#totals;
    return {
      sessions: this.#sessions.size,
      packetsReceived: received,
      packetsSent: sent,
      packetsDropped: { 'wrong-source': strangers, malformed, 'unknown-payload': 0, unauthentic: 0 },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#sessions.keys()].map((session) => session[Symbol.asyncDispose]()));
    await this.#servers[Symbol.asyncDispose]();
  }

  async #openAt(server: NgClient, call: CallId): Promise<MediaSession> {
    this.#servers.count(server, 1);
    try {
      const session: EngineSession = await EngineSession.open({
        call,
        server,
        id: `${call}-${randomBytes(6).toString('hex')}`,
        address: this.#options.address,
        latching: this.#options.latching ?? 'signalled',
        now: (): EpochMicros => epochMicros(this.#epochOffset),
        totals: this.#totals,
        closed: () => {
          this.#sessions.delete(session);
          this.#servers.count(server, -1);
        },
      });
      this.#sessions.set(session, server);
      return session;
    } catch (error) {
      this.#servers.count(server, -1);
      throw error;
    }
  }
}
