/** One application on the control port: its frames in, our frames out. */
import type { Socket } from 'node:net';
import type { Application, Arrival } from '../application.ts';
import type { Clock } from '../clock.ts';
import { limits, splitMessage, textOf } from '../message.ts';
import type { RawMessage, SipRequest, SipResponse } from '../message.ts';
import type { Address, Listener } from '../transport.ts';
import { Outbox } from './outbox.ts';
import { FrameError, FrameReader, frame, maxFrameBytes } from './frame.ts';
import { messageOf } from '../../../../config/errors.ts';

/** What an application may ask for, taken apart. */
export interface Requests {
  authenticate(connection: ControlConnection, secret: string): boolean;
  /** `<transport>/<address>:<port>` of all listeners: as advertised, and as bound. */
  hostports(): { advertised: string; bound: string };
  request(
    connection: ControlConnection,
    rid: string,
    names: { dialog: string; proxy: string },
    raw: RawMessage,
  ): void;
  respond(connection: ControlConnection, rid: string, transaction: string, raw: RawMessage): void;
  cancel(connection: ControlConnection, rid: string, transaction: string, raw: RawMessage): void;
  lost(connection: ControlConnection): void;
}

/** Looks like a drachtio-server that knows everything drachtio-srf asks a version for. */
const version = 'v0.9.10';

export class ControlConnection implements Application {
  /** Methods in lower case that this application takes new requests of. */
  readonly routes = new Set<string>();
  authenticated = false;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #requests: Requests;
  readonly #reader = new FrameReader();
  readonly #outbox = new Outbox();
  #pumping = false;
  /** The client wants an id on every frame and looks at none. */
  #frames = 0;
  #open = true;

  constructor(socket: Socket, clock: Clock, requests: Requests) {
    this.#socket = socket;
    this.#clock = clock;
    this.#requests = requests;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    // 'close' follows and says all that matters.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#lost());
  }

  get alive(): boolean {
    return this.#open;
  }

  close(): void {
    this.#socket.destroy();
  }

  newRequest(request: SipRequest, { source, listener }: Arrival, transaction: string): void {
    const text = textOf(request);
    const where = `${this.#meta('network', text.length, source)}|${transaction}`;
    this.#send(`sip|${where}||${listener.host}|${listener.port}|\r\n${text}`, request.callId);
  }

  message(message: SipRequest | SipResponse, { source }: Arrival, transaction: string, dialog: string): void {
    const text = textOf(message);
    const where = `${this.#meta('network', text.length, source)}|${transaction}`;
    this.#send(`sip|${where}|${dialog}|\r\n${text}`, message.callId, message.method === 'ACK');
  }

  madeUp(text: string, listener: Listener, transaction: string, dialog: string): void {
    this.#send(
      `sip|${this.#meta('network', text.length, { ...listener, address: '', port: 0 })}|${transaction}|${dialog}|\r\n${text}`,
      callIdIn(text),
    );
  }

  ownRequest(text: string, listener: Listener, dialog: string): void {
    const where = this.#meta('application', text.length, advertised(listener));
    this.#send(`sip|${where}|unsolicited|${dialog}|\r\n${text}`, callIdIn(text));
  }

  requestSent(rid: string, text: string, listener: Listener, transaction: string): void {
    const where = this.#meta('application', text.length, advertised(listener));
    this.#send(`response|${rid}|OK|${where}|${transaction}|Msg sent:|\r\n${text}`, callIdIn(text));
  }

  responseSent(
    rid: string,
    text: string,
    to: Address,
    _listener: Listener,
    transaction: string,
    dialog: string,
  ): void {
    const where = this.#meta('application', text.length, to);
    this.#send(`response|${rid}|OK|${where}|${transaction}|${dialog}||Msg sent:|\r\n${text}`, callIdIn(text));
  }

  refuse(rid: string, why: string): void {
    this.#send(`response|${rid}|NOK|${why.replace(/[|\r\n]/gu, ' ')}`);
  }

  #meta(from: 'network' | 'application', bytes: number, { transport, address, port }: Address): string {
    return `${from}|${bytes}|${transport}|${address}|${port}|${timeOfDay(this.#clock.now())}`;
  }

  #take(chunk: Buffer): void {
    try {
      for (const payload of this.#reader.read(chunk)) this.#obeyed(payload);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      // There is no telling where the next frame would begin.
      this.#socket.destroy();
    }
  }

  /** Every frame is answered, also one that meets a fault of ours: a promise of the application hangs on it. */
  #obeyed(payload: string): void {
    try {
      this.#obey(payload);
    } catch (error) {
      this.refuse(payload.slice(0, Math.max(0, payload.indexOf('|'))), `Server error: ${messageOf(error)}`);
    }
  }

  #obey(payload: string): void {
    const end = payload.indexOf('\r\n');
    const fields = (end < 0 ? payload : payload.slice(0, end)).split('|');
    const [rid = '', verb = ''] = fields;
    if (verb === 'authenticate') {
      this.#authenticate(rid, fields[2] ?? '');
      return;
    }
    if (!this.authenticated) {
      this.#send(`response|${rid}|NO|not authenticated`);
      return;
    }
    switch (verb) {
      case 'route':
        this.routes.add((fields[2] ?? '').toLowerCase());
        {
          this.#send(`response|${rid}|OK`);
          return;
        }
      case 'remove_route':
        this.routes.delete((fields[2] ?? '').toLowerCase());
        {
          this.#send(`response|${rid}|OK`);
          return;
        }
      case 'ping': {
        this.#send(`response|${rid}|OK|pong`);
        return;
      }
      case 'sip': {
        this.#sip(rid, fields, end < 0 ? '' : payload.slice(end + 2));
        return;
      }
      case 'proxy': {
        this.refuse(rid, 'not supported');
        return;
      }
      default:
        this.#send(`response|${rid}|NO|unknown command`);
    }
  }

  #authenticate(rid: string, secret: string): void {
    if (!this.#requests.authenticate(this, secret)) {
      this.#send(`response|${rid}|NO|incorrect secret`);
      setImmediate(() => this.#socket.end());
      return;
    }
    this.authenticated = true;
    const { advertised, bound } = this.#requests.hostports();
    this.#send(`response|${rid}|OK|${advertised}|${version}|${bound}`);
  }

  #sip(rid: string, fields: readonly string[], text: string): void {
    const [, , transaction = '', dialog = '', proxy = ''] = fields;
    const raw = splitMessage(text, { ...limits, messageBytes: maxFrameBytes }, 'ignore');
    if (typeof raw === 'string') {
      this.refuse(rid, `unreadable message: ${raw}`);
      return;
    }
    if (raw.startLine.startsWith('SIP/')) {
      this.#requests.respond(this, rid, transaction, raw);
      return;
    }
    if (transaction !== '' && raw.startLine.startsWith('CANCEL ')) {
      this.#requests.cancel(this, rid, transaction, raw);
      return;
    }
    this.#requests.request(this, rid, { dialog, proxy }, raw);
  }

  /** At most one write a turn of the event loop. */
  #send(payload: string, call = '', last = false): void {
    if (!this.#open) return;
    this.#outbox.push(frame(`${++this.#frames}|${payload}`), call, last);
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(() => this.#pump());
  }

  #pump(): void {
    if (this.#outbox.empty || !this.#open) {
      this.#pumping = false;
      return;
    }
    this.#socket.write(this.#outbox.take(), 'latin1');
    setImmediate(() => this.#pump());
  }

  #lost(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#outbox.clear();
    this.#requests.lost(this);
  }
}

/** A listener as peers know it. */
function advertised({ transport, host, port }: Listener): Address {
  return { transport, address: host, port };
}

/** `HH:MM:SS.uuuuuu`, UTC. */
function timeOfDay(epochMs: number): string {
  const ms = Math.floor(epochMs) % 86_400_000;
  const two = (value: number) => String(value).padStart(2, '0');
  const seconds = `${two(Math.floor(ms / 3_600_000))}:${two(Math.floor(ms / 60_000) % 60)}:${two(Math.floor(ms / 1_000) % 60)}`;
  return `${seconds}.${String(ms % 1_000).padStart(3, '0')}000`;
}

/** The Call-ID of a message that we wrote; empty where a peer's spelling of the name hides it. */
function callIdIn(text: string): string {
  const at = text.indexOf('\r\nCall-ID: ');
  return at < 0 ? '' : text.slice(at + 11, text.indexOf('\r\n', at + 2));
}
