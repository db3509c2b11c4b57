/** rtpengine's NG protocol over UDP: one server asked, its replies matched by cookie. */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { messageOf, TacetError } from '../../config/errors.ts';
import { BencodeMalformed, decodeBencode, encodeBencode, type BencodeDictionary } from './bencode.ts';

/** Neither a reply in time nor a way to the server. */
export class NgUnanswered extends TacetError {
  readonly server: string;
  constructor(server: string, command: string, why: string) {
    super(`rtpengine ${server} does not answer "${command}": ${why}`);
    this.server = server;
  }
}

/** The server answered, and will not do it. */
export class NgRefused extends TacetError {
  readonly server: string;
  readonly reason: string;
  constructor(server: string, command: string, reason: string) {
    super(`rtpengine ${server} refuses "${command}": ${reason}`);
    this.server = server;
    this.reason = reason;
  }

  /** The server has forgotten the call, or was started anew. */
  get callUnknown(): boolean {
    return /unknown call-id/iu.test(this.reason);
  }
}

export interface NgCommand extends BencodeDictionary {
  readonly command: string;
}

/** One datagram: cookie, space, dictionary. */
export function writeMessage(cookie: string, message: BencodeDictionary): Buffer {
  return Buffer.from(`${cookie} ${encodeBencode(message)}`);
}

/** @throws BencodeMalformed */
export function readMessage(datagram: Uint8Array): { cookie: string; message: BencodeDictionary } {
  const space = datagram.indexOf(0x20);
  if (space < 1) throw new BencodeMalformed(0, 'no cookie');
  const message = decodeBencode(datagram.subarray(space + 1));
  if (typeof message !== 'object' || Array.isArray(message))
    throw new BencodeMalformed(space + 1, 'not a dictionary');
  return {
    cookie: Buffer.from(datagram.subarray(0, space)).toString('latin1'),
    message: message as BencodeDictionary,
  };
}

/** When a question is sent (again), milliseconds after the first time, and when it is given up. */
export interface NgPatience {
  sendAtMs: readonly number[];
  giveUpMs: number;
}

/** Within what a caller waits for an answer; a lost datagram costs a third of a second (facts of issue 4). */
export const usualPatience: NgPatience = { sendAtMs: [0, 300, 900], giveUpMs: 1_500 };

export interface NgAddress {
  host: string;
  port: number;
}

// A server answers a cookie that it has seen with what it said before, whoever asks: two controllers, or one started
// anew, must never use the same (rtpengine#1634). So: this process, this boot, a count.
const boot = `${process.pid.toString(36)}-${randomBytes(8).toString('hex')}`;
let asked = 0;

export class NgClient implements Disposable {
  readonly name: string;
  readonly #patience: NgPatience;
  readonly #ready: Promise<Socket>;
  readonly #waiting = new Map<string, (reply: BencodeDictionary) => void>();
  #closed = false;

  constructor({ host, port }: NgAddress, patience = usualPatience) {
    this.name = `${host}:${port}`;
    this.#patience = patience;
    this.#ready = this.#connect(host, port);
    // Whoever asks is told; until then nobody need know.
    this.#ready.catch(() => undefined);
  }

  /** The server's address, looked up once. @throws when its name leads nowhere */
  async address(): Promise<string> {
    return (await this.#ready).remoteAddress().address;
  }

  /**
   * Asks with the same cookie until the reply is there.
   *
   * @throws NgUnanswered
   * @throws NgRefused
   */
  async ask(command: NgCommand): Promise<BencodeDictionary> {
    const socket = await this.#ready.catch((error: unknown) => {
      throw new NgUnanswered(this.name, command.command, messageOf(error));
    });
    if (this.#closed) throw new NgUnanswered(this.name, command.command, 'Tacet is ending');
    const cookie = `${boot}-${++asked}`;
    const datagram = writeMessage(cookie, command);
    const send = (): void => {
      if (!this.#closed) socket.send(datagram);
    };
    const { promise, resolve, reject } = Promise.withResolvers<BencodeDictionary>();
    this.#waiting.set(cookie, resolve);
    const { sendAtMs, giveUpMs } = this.#patience;
    const [first = 0, ...again] = sendAtMs;
    if (first === 0) send();
    const timers = again.map((ms) => setTimeout(send, ms));
    timers.push(
      setTimeout(() => {
        reject(new NgUnanswered(this.name, command.command, `nothing in ${giveUpMs} ms`));
      }, giveUpMs),
    );
    try {
      const reply = await promise;
      const { result } = reply;
      if (result === 'ok' || result === 'pong') return reply;
      const reason = reply['error-reason'] ?? result;
      throw new NgRefused(
        this.name,
        command.command,
        typeof reason === 'string' ? reason : 'without a reason',
      );
    } finally {
      for (const timer of timers) clearTimeout(timer);
      this.#waiting.delete(cookie);
    }
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ready.then(
      (socket) => socket.close(),
      () => undefined,
    );
  }

  async #connect(host: string, port: number): Promise<Socket> {
    const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4' });
    socket.on('message', (datagram) => this.#received(datagram));
    // A refused datagram (nobody listens) is an error of the socket; the question's own end says the same.
    socket.on('error', () => undefined);
    try {
      socket.connect(port, host);
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  #received(datagram: Uint8Array): void {
    try {
      const { cookie, message } = readMessage(datagram);
      this.#waiting.get(cookie)?.(message);
    } catch (error) {
      // The server's garbage is no answer: the question is asked again and then given up.
      if (!(error instanceof BencodeMalformed)) throw error;
    }
  }
}
