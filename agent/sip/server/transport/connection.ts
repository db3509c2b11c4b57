/** One stream connection to a peer: messages in, messages out, kept alive, given up when it is dead or abused. */
import type { Socket } from 'node:net';
import type { Alarm, Clock } from '../clock.ts';
import { StreamBroken, StreamReader } from './stream-reader.ts';
import type { StreamBounds } from './stream-reader.ts';
import type { Address } from '../transport.ts';

export interface ConnectionLimits extends StreamBounds {
  /** In which a message that has begun must be whole: nobody holds a connection by dripping (slow loris). */
  messageMs: number;
  /** After which a connection without any message is closed. */
  idleMs: number;
  /** Between keep-alives on a connection that we opened; drawn from 80 to 100 % of it (RFC 5626 section 4.4.1). */
  pingMs: number;
  /** In which a peer that has answered a ping before must answer the next (RFC 5626 section 4.4.1: 10 s). */
  pongMs: number;
  /** In which a connection must be there, TLS included. */
  connectMs: number;
  /** What a peer may leave unread of ours. */
  queuedBytes: number;
}

export const connectionLimits: ConnectionLimits = {
  headBytes: 32_768,
  messageBytes: 65_535,
  messageMs: 10_000,
  idleMs: 1_800_000,
  pingMs: 110_000,
  pongMs: 10_000,
  connectMs: 4_000,
  queuedBytes: 1_048_576,
};

export type ConnectionLoss =
  'closed by the peer' | 'failed' | 'slow message' | 'idle' | 'no pong' | 'peer does not read' | 'not SIP';

export interface ConnectionUser {
  message(bytes: Buffer): void;
  /** Cannot be read any further; what is sent now still goes out before the end. */
  broken(trouble: StreamBroken): void;
  /** Called once. */
  gone(why: ConnectionLoss): void;
}

const unreadMs = 1_000;
const ping = '\r\n\r\n';
const pong = '\r\n';

export class Connection {
  readonly remote: Address;
  /** Whether we opened it: then we keep it alive, too. */
  readonly ours: boolean;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #limits: ConnectionLimits;
  readonly #user: ConnectionUser;
  readonly #reader: StreamReader;
  /** What waits for the connection to be there; undefined once it is. */
  #waiting: { bytes: Buffer; failed: ((error: Error) => void) | undefined }[] | undefined;
  #alive = true;
  #lastMessageAt: number;
  #heardAt: number;
  #slow: Alarm | undefined;
  #quiet: Alarm | undefined;
  #pongDue: Alarm | undefined;
  #pongs = 0;

  /** @param ready the event after which `socket` may be written to; undefined when it may be already */
  constructor(
    { socket, remote, ready }: { socket: Socket; remote: Address; ready: string | undefined },
    clock: Clock,
    limits: ConnectionLimits,
    user: ConnectionUser,
  ) {
    this.#socket = socket;
    this.remote = remote;
    this.ours = ready !== undefined;
    this.#clock = clock;
    this.#limits = limits;
    this.#user = user;
    this.#reader = new StreamReader(limits);
    this.#lastMessageAt = this.#heardAt = clock.now();
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', (error) => this.#end('failed', error));
    socket.on('end', () => this.#end('closed by the peer'));
    socket.on('close', () => this.#end('closed by the peer'));
    if (ready === undefined) {
      this.#keepAlive();
      return;
    }
    this.#waiting = [];
    this.#slow = clock.after(limits.connectMs, () => this.#end('failed', new Error('no connection in time')));
    socket.once(ready, () => this.#opened());
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** @param failed called where these bytes certainly did not reach the peer's system */
  send(text: string, failed?: (error: Error) => void): void {
    const bytes = Buffer.from(text, 'latin1');
    if (!this.#alive) {
      failed?.(new Error('the connection is gone'));
      return;
    }
    if (text !== ping && text !== pong) this.#lastMessageAt = this.#clock.now();
    if (this.#waiting) this.#waiting.push({ bytes, failed });
    else {
      this.#socket.write(bytes, (error) => {
        if (error) failed?.(error);
      });
    }
    const queued = this.#waiting?.reduce((sum, one) => sum + one.bytes.length, 0) ?? 0;
    if (queued + this.#socket.writableLength > this.#limits.queuedBytes) this.#end('peer does not read');
  }

  /** Ends it when nothing has come for this long: it looks open, but nobody is at its other end. */
  suspect(silentMs: number): void {
    if (this.#clock.now() - this.#heardAt >= silentMs) this.#end('failed', new Error('no answer'));
  }

  /** Ends it at once, telling nobody. */
  close(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#silence();
    this.#socket.destroy();
  }

  #opened(): void {
    this.#slow?.cancel();
    this.#slow = undefined;
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    if (!this.#alive) return;
    for (const { bytes, failed } of waiting) {
      this.#socket.write(bytes, (error) => {
        if (error) failed?.(error);
      });
    }
    this.#keepAlive();
  }

  #take(chunk: Buffer): void {
    if (!this.#alive) return;
    this.#heardAt = this.#clock.now();
    this.#pongDue?.cancel();
    this.#pongDue = undefined;
    try {
      for (const piece of this.#reader.read(chunk)) {
        if (piece.kind === 'ping') this.send(pong);
        else if (piece.kind === 'pong') this.#pongs += 1;
        else {
          this.#lastMessageAt = this.#clock.now();
          this.#slow?.cancel();
          this.#slow = undefined;
          this.#user.message(piece.bytes);
        }
        if (!this.#alive) return;
      }
    } catch (error) {
      if (!(error instanceof StreamBroken)) throw error;
      this.#user.broken(error);
      this.#end('not SIP');
      return;
    }
    if (!this.#reader.midMessage) this.#slow?.cancel();
    else this.#slow ??= this.#clock.after(this.#limits.messageMs, () => this.#end('slow message'));
    if (!this.#reader.midMessage) this.#slow = undefined;
  }

  /** Pings on our own connections; ends any that has carried no message for too long. */
  #keepAlive(): void {
    const { pingMs, idleMs, pongMs } = this.#limits;
    const quietMs = this.#clock.now() - this.#lastMessageAt;
    if (quietMs >= idleMs) {
      this.#end('idle');
      return;
    }
    const pauseMs = this.ours ? Math.min(pingMs * (0.8 + 0.2 * Math.random()), idleMs) : idleMs - quietMs;
    this.#quiet = this.#clock.after(pauseMs, () => {
      if (this.ours && this.#clock.now() - this.#lastMessageAt < idleMs) {
        this.send(ping);
        // Peers that do not know RFC 5626 never answer: only who once did is missed.
        if (this.#pongs > 0) this.#pongDue ??= this.#clock.after(pongMs, () => this.#end('no pong'));
      }
      if (this.#alive) this.#keepAlive();
    });
  }

  #end(why: ConnectionLoss, error: Error = new Error(why)): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#silence();
    // What was written goes out, a refusal for instance; a peer that reads nothing gets no more time.
    if (why === 'failed' || why === 'peer does not read' || why === 'no pong') this.#socket.destroy();
    else if (why === 'not SIP') this.#endUnread();
    else this.#socket.destroySoon();
    for (const { failed } of this.#waiting ?? []) failed?.(error);
    this.#user.gone(why);
  }

  /** A close with bytes unread is a reset, and a reset overtakes the refusal: the rest is read, and forgotten. */
  #endUnread(): void {
    this.#socket.end();
    const enough = this.#clock.after(unreadMs, () => this.#socket.destroy());
    this.#socket.once('close', () => enough.cancel());
  }

  #silence(): void {
    for (const alarm of [this.#slow, this.#quiet, this.#pongDue]) alarm?.cancel();
  }
}
