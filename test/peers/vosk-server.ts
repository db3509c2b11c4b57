/**
 * A speech server that speaks the protocol of Vosk's WebSocket server as documented, with a model whose vocabulary the test
 * gives: no model can be had as a package. It understands nothing by itself: the test says what it takes which frame for.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';

/** One stream: what the client sent, and how it is answered. */
export interface VoskSession {
  readonly config: { sample_rate: number; words: boolean; phrase_list: string[] } | undefined;
  /** Frames of audio so far, and the loudest sample of the last one. */
  readonly frames: number;
  readonly level: number;
}

/** What one frame of audio is answered with: undefined holds the answer back. */
export type Answering = (session: VoskSession) => unknown;

interface Held extends VoskSession {
  config: VoskSession['config'];
  frames: number;
  level: number;
}

export class VoskServer implements AsyncDisposable {
  readonly sessions: VoskSession[] = [];
  /** How many said that nothing more comes. */
  ended = 0;
  answering: Answering;
  /** What the end of a stream is answered with; undefined: nothing. */
  ending: object | undefined = { text: '' };
  readonly #server: WebSocketServer;
  readonly #events = new EventTarget();

  private constructor(server: WebSocketServer, answering: Answering) {
    this.#server = server;
    this.answering = answering;
    server.on('connection', (socket) => this.#serve(socket));
  }

  static async start(answering: Answering): Promise<VoskServer> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    return new VoskServer(server, answering);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves when `what` holds, looking at each frame that comes. */
  async until(what: () => boolean): Promise<void> {
    while (!what()) await once(this.#events, 'frame');
  }

  /** A frame that nobody asked for. */
  tell(answer: object): void {
    for (const socket of this.#server.clients) socket.send(JSON.stringify(answer));
  }

  /** As a server that was killed. */
  drop(): void {
    for (const socket of this.#server.clients) socket.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: WebSocket): void {
    const session: Held = { config: undefined, frames: 0, level: 0 };
    this.sessions.push(session);
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => {
      const bytes = data as Buffer;
      if (!isBinary && bytes.toString() === '{"eof" : 1}') {
        this.ended += 1;
        if (this.ending === undefined) return;
        socket.send(JSON.stringify(this.ending));
        socket.close();
      } else if (!isBinary && session.frames === 0 && bytes.includes('config')) {
        session.config = (JSON.parse(bytes.toString()) as { config: Held['config'] }).config;
      } else {
        session.frames += 1;
        session.level = loudest(bytes);
        const answer = this.answering(session);
        if (answer !== undefined)
          socket.send(typeof answer === 'string' ? answer : JSON.stringify(answer, undefined, 2));
      }
      this.#events.dispatchEvent(new Event('frame'));
    });
  }
}

function loudest(bytes: Buffer): number {
  let level = 0;
  for (let at = 0; at + 1 < bytes.length; at += 2) level = Math.max(level, Math.abs(bytes.readInt16LE(at)));
  return level;
}
