/** The store's end of the link (design section 8). */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import { messageOf } from '../../config/errors.ts';
import { BatchMalformed, countPackets } from '../fork/batch.ts';
import {
  closeCodes,
  decodeFrames,
  frameBytes,
  LinkMalformed,
  parseAgentMessage,
  subprotocol,
  type AgentMessage,
  type Frame,
  type StoreMessage,
} from '../fork/protocol.ts';
import type { RecordingEnd, RecordingHeader } from '../fork/sink.ts';
import { SealBroken } from './keyring.ts';
import { Vault, type VaultRefusal } from './vault.ts';

export interface StoreOptions {
  directory: string;
  host?: string;
  /** 0 takes any free port. */
  port?: number;
  token: string;
  /** How long an agent may be away before its recordings are closed as interrupted. */
  graceMs?: number;
  /** What went wrong, for the log. */
  onProblem?: (problem: string) => void;
}

export interface Store extends AsyncDisposable {
  readonly url: string;
  readonly publicKey: string;
  readonly vault: Vault;
  /** Ends every connection without a word, as a network does that fails. */
  disconnectAll(): void;
}

/** What may be under way: several seconds of the audio of five hundred calls. */
const creditBytes = 64 * 1024 * 1024;
const largestMessage = 1024 * 1024;
/**
 * A recording's batches are written and synced together: this bounds how long one waits for its acknowledgement. Until then
 * the agent has it, so that only a fault of both costs as much.
 */
const syncMs = 1_000;
/** Recordings that are due meanwhile are synced beside each other; all in one go would keep a relay from its core for long. */
const roundMs = 100;
const sweepMs = 3_600_000;

/** Starts a store on a folder of its own. */
export async function startStore(options: StoreOptions): Promise<Store> {
  const {
    directory,
    host = '127.0.0.1',
    port = 0,
    token,
    graceMs = 60_000,
    onProblem = () => undefined,
  } = options;
  const vault = new Vault({ directory });
  const orphans = vault.orphans();
  if (orphans.files.length + orphans.rows.length > 0) onProblem(`orphans: ${JSON.stringify(orphans)}`);

  const http = createServer((_request, response) => response.writeHead(426).end());
  const sockets = new WebSocketServer({
    server: http,
    maxPayload: largestMessage,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
    verifyClient: ({ req }, answer) => {
      if (!bearerIs(req, token)) return answer(false, 401);
      if (offers(req, subprotocol)) return answer(true);
      onProblem(`store link: an agent offers ${offered(req)}, this store speaks ${subprotocol}`);
      // RFC 9110 section 15.5.22.
      answer(false, 426, `this store speaks ${subprotocol}`);
    },
  });
  const absent = new Map<string, NodeJS.Timeout>();
  const finishOpen = (is: (from: { agent: string; boot: string }) => boolean): void => {
    for (const id of vault.openOf(is))
      vault.finish(id, undefined).catch((error: unknown) => onProblem(messageOf(error)));
  };
  /** Whoever left recordings open and does not come back has been interrupted. */
  const expect = (agent: string): void => {
    clearTimeout(absent.get(agent));
    absent.set(
      agent,
      setTimeout(() => finishOpen((from) => from.agent === agent), graceMs),
    );
  };
  const agents = new Set<string>();
  vault.openOf(({ agent }) => agents.add(agent).has(agent));
  agents.forEach(expect);

  sockets.on('connection', (socket) => {
    new AgentConnection(socket, vault, {
      onProblem,
      arrived: (agent, boot) => {
        clearTimeout(absent.get(agent));
        finishOpen((from) => from.agent === agent && from.boot !== boot);
      },
      left: expect,
    });
  });
  const sweeping = setInterval(() => guard(() => vault.sweep(new Date()), onProblem), sweepMs);
  guard(() => vault.sweep(new Date()), onProblem);
  http.listen(port, host);
  await once(http, 'listening');

  return {
    url: `ws://${host}:${(http.address() as AddressInfo).port}`,
    publicKey: vault.keys.publicKey,
    vault,
    disconnectAll: () => sockets.clients.forEach((socket) => socket.terminate()),
    async [Symbol.asyncDispose]() {
      clearInterval(sweeping);
      for (const socket of sockets.clients) socket.close(1001);
      sockets.close();
      http.close();
      http.closeAllConnections();
      await once(http, 'close');
      absent.forEach((timer) => clearTimeout(timer));
      await vault[Symbol.asyncDispose]();
    },
  };
}

function guard(work: () => unknown, onProblem: (problem: string) => void): void {
  try {
    work();
  } catch (error) {
    onProblem(messageOf(error));
  }
}

function bearerIs({ headers }: IncomingMessage, token: string): boolean {
  const given = Buffer.from(headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function offered({ headers }: IncomingMessage): string {
  return headers['sec-websocket-protocol'] ?? 'no subprotocol';
}

function offers(request: IncomingMessage, protocol: string): boolean {
  return offered(request)
    .split(',')
    .some((each) => each.trim() === protocol);
}

interface ConnectionHooks {
  onProblem: (problem: string) => void;
  arrived: (agent: string, boot: string) => void;
  left: (agent: string) => void;
}

/** One agent's socket. What it sends wrong costs it the connection, and nobody else anything. */
class AgentConnection {
  readonly #socket: WebSocket;
  readonly #vault: Vault;
  readonly #hooks: ConnectionHooks;
  readonly #streams = new Map<number, string>();
  #from: { agent: string; boot: string } | undefined;
  #syncing = false;
  /** Streams with frames that are not synced: when they are due, and the frames' bytes. */
  readonly #dirty = new Map<number, { at: number; bytes: number }>();

  constructor(socket: WebSocket, vault: Vault, hooks: ConnectionHooks) {
    this.#socket = socket;
    this.#vault = vault;
    this.#hooks = hooks;
    socket.on('message', (data, binary) => this.#take(data, binary));
    socket.on('error', (error) => hooks.onProblem(`store link: ${error.message}`));
    socket.on('close', () => {
      if (this.#from !== undefined) hooks.left(this.#from.agent);
    });
  }

  #take(data: RawData, binary: boolean): void {
    // One piece, as it was received: what ws gives unless it is told otherwise.
    const bytes = data as Buffer;
    try {
      if (binary) for (const frame of decodeFrames(bytes)) this.#frame(frame);
      else this.#message(parseAgentMessage(bytes.toString()));
    } catch (error) {
      const malformed = error instanceof LinkMalformed;
      this.#hooks.onProblem(`store link: ${messageOf(error)}`);
      this.#fail(malformed ? closeCodes.malformed : 1011, messageOf(error));
    }
  }

  #message(message: AgentMessage): void {
    if (message.type === 'hello') {
      this.#from = { agent: message.agent, boot: message.boot };
      this.#hooks.arrived(message.agent, message.boot);
      this.#say({ type: 'welcome', credit: creditBytes });
      return;
    }
    if (this.#from === undefined) throw new LinkMalformed(`${message.type} before hello`);
    switch (message.type) {
      case 'open': {
        const taken = this.#begin(message.header, this.#from);
        if (typeof taken === 'string') {
          // A repeated close of one that is finished: the agent never heard our word.
          if (taken === 'finished') void this.#finish(message.stream, message.header.recording, undefined);
          else this.#say({ type: 'refused', stream: message.stream, reason: taken });
          return;
        }
        this.#streams.set(message.stream, message.header.recording);
        this.#say({ type: 'opened', stream: message.stream, position: taken });
        return;
      }
      case 'gap': {
        const id = this.#streams.get(message.stream);
        if (id !== undefined) this.#vault.gap(id, message.gap);
        return;
      }
      case 'close': {
        const id = this.#streams.get(message.stream);
        if (id === undefined) return;
        this.#streams.delete(message.stream);
        void this.#finish(message.stream, id, message.end);
        return;
      }
      case 'destroy':
        this.#say({ type: 'destroyed', receipt: this.#vault.destroy(message.recording, message.reason) });
        return;
    }
  }

  /** A recording that cannot be begun or gone on with is refused, and costs the other recordings of its agent nothing. */
  #begin(
    header: RecordingHeader,
    from: { agent: string; boot: string },
  ): number | VaultRefusal | 'unreadable' {
    try {
      return this.#vault.begin(header, from);
    } catch (error) {
      this.#hooks.onProblem(`recording ${header.recording} is refused: ${messageOf(error)}`);
      return 'unreadable';
    }
  }

  async #finish(stream: number, id: string, end: RecordingEnd | undefined): Promise<void> {
    try {
      await this.#vault.finish(id, end);
      this.#say({ type: 'closed', stream });
    } catch (error) {
      this.#hooks.onProblem(messageOf(error));
    }
  }

  #frame(frame: Frame): void {
    const { stream, number } = frame;
    const dirty = this.#dirty.get(stream);
    if (dirty !== undefined) dirty.bytes += frameBytes(frame);
    else this.#dirty.set(stream, { at: performance.now() + syncMs, bytes: frameBytes(frame) });
    void this.#syncSoon();
    const id = this.#streams.get(stream);
    if (id === undefined) return;
    const opened = this.#opened(frame);
    if (opened === undefined) {
      this.#streams.delete(stream);
      this.#say({ type: 'refused', stream, reason: 'malformed' });
      this.#vault.finish(id, undefined).catch((error: unknown) => this.#hooks.onProblem(messageOf(error)));
      return;
    }
    if (this.#vault.take(id, number, opened) === 'hole')
      this.#fail(closeCodes.hole, `stream ${stream}: frame ${number} is early`);
  }

  /**
   * A frame's batch, readable: what is kept must be when the artefact is made. Undefined where it is not, because the agent's
   * disk changed it, say: sent again it would be no better, so it ends its own recording, and no other.
   */
  #opened({ sealed, stream, number, batch }: Frame): Uint8Array | undefined {
    try {
      const opened = sealed ? this.#vault.keys.unsealFrame(batch, number) : batch;
      countPackets(opened);
      return opened;
    } catch (error) {
      if (!(error instanceof SealBroken || error instanceof BatchMalformed)) throw error;
      this.#hooks.onProblem(`recording ${this.#streams.get(stream)}, frame ${number}: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** One round after another: a round that overtook the one before would acknowledge what that has not synced yet. */
  async #syncSoon(): Promise<void> {
    if (this.#syncing) return;
    this.#syncing = true;
    try {
      while (this.#dirty.size > 0) {
        await new Promise((resolve) => setTimeout(resolve, roundMs));
        await this.#syncRound();
      }
    } catch (error) {
      this.#hooks.onProblem(`cannot write: ${messageOf(error)}`);
      this.#fail(1011, messageOf(error));
    } finally {
      this.#syncing = false;
    }
  }

  async #syncRound(): Promise<void> {
    const now = performance.now();
    const due = [...this.#dirty].filter(([, { at }]) => at <= now);
    if (due.length === 0) return;
    const bytes = due.reduce((sum, [, dirty]) => sum + dirty.bytes, 0);
    for (const [stream] of due) this.#dirty.delete(stream);
    // Beside each other: the file system then commits many with one write of its journal.
    const synced = await Promise.all(
      due.map(async ([stream]): Promise<[number, number] | undefined> => {
        const id = this.#streams.get(stream);
        const position = id === undefined ? undefined : await this.#vault.sync(id);
        return position === undefined ? undefined : [stream, position];
      }),
    );
    const positions = synced.filter((each) => each !== undefined);
    if (positions.length > 0) this.#say({ type: 'ack', positions });
    this.#say({ type: 'credit', bytes });
  }

  #say(message: StoreMessage): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #fail(code: number, reason: string): void {
    this.#say({ type: 'error', reason: reason.slice(0, 400) });
    this.#socket.close(code);
  }
}
