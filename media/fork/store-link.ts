/**
 * The agent's end of the store link (design section 8). Everything written is kept until the store has it on stable
 * storage, across reconnections; what does not fit in memory lies on disk sealed to the store, where the agent itself
 * cannot read it (I7). The bound of both fails recordings, never calls (I4).
 */
import { WebSocket } from 'ws';
import { messageOf } from '../../config/errors.ts';
import {
  encodeFrames,
  frameBytes,
  parseStoreMessage,
  subprotocol,
  type AgentMessage,
  type Frame,
  type StoreMessage,
} from './protocol.ts';
import { PendingDestroys, type OwedDestroy } from './pending-destroys.ts';
import { OutgoingRecording, type Spool } from './outgoing-recording.ts';
import {
  RecordingRefused,
  type DestroyReceipt,
  type RecordingHeader,
  type RecordingSink,
  type RecordingStream,
} from './sink.ts';
import type { RecordingId } from '../../config/units.ts';

export type LinkEvent =
  | { kind: 'connected' }
  | { kind: 'disconnected'; reason: string }
  /** No connection could be made; told when the reason is a new one. */
  | { kind: 'unreachable'; reason: string }
  | { kind: 'malformed'; reason: string }
  | { kind: 'destroy-pending'; recording: RecordingId }
  /** `owed` when whoever asked for it was told that it is pending: the evidence is still to be written. */
  | { kind: 'destroyed'; receipt: DestroyReceipt; owed: OwedDestroy | undefined }
  | { kind: 'stream-failed'; recording: RecordingId; reason: string };

export interface StoreLinkOptions {
  url: string;
  token: string;
  /** Names this agent to the store, and this run of it: a new run means that the former was interrupted. */
  agentId: string;
  bootId: string;
  spool: { directory: string; maxBytes: number; sealTo: string };
  /** Of the spool, how much may be in memory. */
  ramBytes?: number;
  reconnectMs?: { min: number; max: number };
  onEvent?: (event: LinkEvent) => void;
}

export interface StoreLinkStatistics {
  connected: boolean;
  streams: number;
  backlogBytes: number;
  spooledBytes: number;
  openDestroys: number;
}

export interface StoreLink extends RecordingSink, AsyncDisposable {
  statistics(): StoreLinkStatistics;
  /** Resolves when nothing is left to deliver, or when `signal` aborts. */
  flush(signal: AbortSignal): Promise<void>;
}

/** A message is sent when it has this many bytes; the store takes up to a mebibyte. */
const messageBytes = 256 * 1024;
/** What a store's answer to the handshake means, by its status. */
const refusals: Record<number, string> = {
  401: 'the store does not know the token',
  426: `the store does not speak ${subprotocol}: agent and store are of different versions`,
};
const openMs = 1_000;
const closeMs = 5_000;
const destroyMs = 5_000;
const destroyRetryMs = 30_000;

/** Opens the link; resolves at once, the first connection being under way. */
export function openStoreLink(options: StoreLinkOptions): StoreLink {
  return new Link(options);
}

class Link implements StoreLink {
  readonly #options: StoreLinkOptions;
  readonly #recordings = new Map<number, OutgoingRecording>();
  readonly #destroys: PendingDestroys;
  readonly #spool: Spool;
  readonly #retry: NodeJS.Timeout;
  readonly #idle = new Set<() => void>();
  #socket: WebSocket | undefined;
  #welcome = false;
  #credit = 0;
  readonly #leaving: Frame[] = [];
  #leavingBytes = 0;
  #lastStream = 0;
  #failures = 0;
  /** Why the last attempt failed. */
  #unreachable: string | undefined;
  #reconnecting: NodeJS.Timeout | undefined;
  #disposed = false;

  constructor(options: StoreLinkOptions) {
    this.#options = options;
    const { directory, maxBytes, sealTo } = options.spool;
    this.#spool = {
      directory,
      sealTo,
      maxBytes,
      ramBytes: options.ramBytes ?? 64 * 1024 * 1024,
      inRam: 0,
      onDisk: 0,
    };
    this.#destroys = new PendingDestroys(directory);
    this.#retry = setInterval(() => this.#sendDestroys(), destroyRetryMs);
    this.#connect();
  }

  statistics(): StoreLinkStatistics {
    return {
      connected: this.#welcome,
      streams: this.#recordings.size,
      backlogBytes: this.#spool.inRam + this.#spool.onDisk,
      spooledBytes: this.#spool.onDisk,
      openDestroys: this.#destroys.size,
    };
  }

  async open(header: RecordingHeader): Promise<RecordingStream> {
    if (this.#spool.inRam + this.#spool.onDisk >= this.#spool.maxBytes)
      throw new RecordingRefused(header.recording, 'spool-full');
    const stream = ++this.#lastStream;
    const recording = new OutgoingRecording(stream, header, this.#spool, {
      send: () => this.#send(recording),
      say: (message) => this.#say(message),
      gone: () => {
        this.#recordings.delete(stream);
        this.#settle();
      },
      destroy: (reason) => this.#destroy({ recording: header.recording, call: header.call, reason }),
      failed: (reason) => this.#tell({ kind: 'stream-failed', recording: header.recording, reason }),
      closeMs,
    });
    this.#recordings.set(stream, recording);
    if (!this.#welcome) return recording;
    this.#say({ type: 'open', stream, header });
    const refused = await within(recording.answered, openMs);
    if (refused === undefined) return recording;
    this.#recordings.delete(stream);
    throw new RecordingRefused(header.recording, refused);
  }

  async flush(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (this.#recordings.size > 0 || this.#destroys.size > 0)) {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const wake = (): void => resolve(undefined);
      this.#idle.add(wake);
      signal.addEventListener('abort', wake, { once: true });
      await promise;
      this.#idle.delete(wake);
      signal.removeEventListener('abort', wake);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    clearInterval(this.#retry);
    clearTimeout(this.#reconnecting);
    const socket = this.#socket;
    if (socket !== undefined && socket.readyState !== socket.CLOSED) {
      const closed = new Promise((resolve) => socket.once('close', resolve));
      if (socket.readyState === socket.OPEN) socket.close(1000);
      else socket.terminate();
      await closed;
    }
    for (const recording of this.#recordings.values()) recording.abandon();
    this.#settle();
  }

  #connect(): void {
    if (this.#disposed) return;
    const { url, token, agentId, bootId } = this.#options;
    const socket = new WebSocket(url, subprotocol, {
      headers: { Authorization: `Bearer ${token}` },
      handshakeTimeout: 5_000,
      perMessageDeflate: false,
      // Masks keep a browser's script from forging requests to a proxy (RFC 6455 section 10.3). Where no proxy can look on, a
      // mask of zero saves both ends a pass over all audio.
      ...(unseen(url) ? { generateMask: (mask: Buffer) => mask.fill(0) } : {}),
    });
    this.#socket = socket;
    let problem = 'closed';
    let refusal: string | undefined;
    socket.on('unexpected-response', (_request, { statusCode = 0 }) => {
      refusal = refusals[statusCode] ?? `the store answers with status ${statusCode}`;
      socket.terminate();
    });
    socket.on('open', () => socket.send(JSON.stringify({ type: 'hello', agent: agentId, boot: bootId })));
    socket.on('message', (data, binary) => {
      try {
        if (binary) throw new Error('a binary frame from the store');
        this.#take(parseStoreMessage(Buffer.from(data as Buffer).toString()));
      } catch (error) {
        this.#tell({ kind: 'malformed', reason: messageOf(error) });
        socket.close(4000);
      }
    });
    socket.on('error', (error) => (problem = error.message));
    socket.on('close', (code) => {
      this.#lost(refusal ?? `${problem} (${code})`);
      this.#welcome = false;
      this.#leaving.length = 0;
      this.#leavingBytes = 0;
      for (const recording of this.#recordings.values()) recording.disconnected();
      this.#reconnectLater();
    });
  }

  #lost(reason: string): void {
    if (this.#disposed && !this.#welcome) return;
    if (this.#welcome) this.#tell({ kind: 'disconnected', reason });
    else if (reason !== this.#unreachable) this.#tell({ kind: 'unreachable', reason });
    this.#unreachable = this.#welcome ? undefined : reason;
  }

  /** Random waits, doubling up to the bound: a store that comes back is not met by all its agents at once. */
  #reconnectLater(): void {
    if (this.#disposed) return;
    const { min, max } = this.#options.reconnectMs ?? { min: 200, max: 10_000 };
    const ceiling = Math.min(max, min * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    this.#reconnecting = setTimeout(() => this.#connect(), min / 2 + Math.random() * ceiling);
  }

  #take(message: StoreMessage): void {
    switch (message.type) {
      case 'welcome':
        this.#welcome = true;
        this.#failures = 0;
        this.#credit = message.credit;
        this.#tell({ kind: 'connected' });
        for (const { stream, header } of this.#recordings.values())
          this.#say({ type: 'open', stream, header });
        this.#sendDestroys();
        return;
      case 'credit':
        this.#credit += message.bytes;
        for (const recording of this.#recordings.values()) this.#send(recording);
        return;
      case 'destroyed':
        this.#tell({
          kind: 'destroyed',
          receipt: message.receipt,
          owed: this.#destroys.done(message.receipt),
        });
        this.#settle();
        return;
      case 'error':
        this.#tell({ kind: 'malformed', reason: `the store says: ${message.reason}` });
        return;
      case 'ack':
        for (const [stream, position] of message.positions)
          this.#recordings.get(stream)?.acknowledge(position);
        return;
      case 'opened':
      case 'refused':
      case 'closed':
        this.#recordings.get(message.stream)?.take(message);
        return;
    }
  }

  /** Sends what the store has not been sent yet, as far as its credit goes; what comes in one go leaves in one message. */
  #send(recording: OutgoingRecording): void {
    while (this.#welcome && this.#credit > 0) {
      const frame = recording.next();
      if (frame === undefined) break;
      if (this.#leaving.length === 0) queueMicrotask(() => this.#sendLeaving());
      this.#leaving.push(frame);
      const bytes = frameBytes(frame);
      this.#credit -= bytes;
      this.#leavingBytes += bytes;
      if (this.#leavingBytes >= messageBytes) this.#sendLeaving();
    }
  }

  #sendLeaving(): void {
    const frames = this.#leaving.splice(0);
    this.#leavingBytes = 0;
    if (frames.length > 0 && this.#socket?.readyState === WebSocket.OPEN)
      this.#socket.send(encodeFrames(frames));
  }

  #say(message: AgentMessage): void {
    // What is said of a recording follows the frames that were handed over before it.
    this.#sendLeaving();
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  async #destroy(owed: OwedDestroy): Promise<DestroyReceipt | 'pending'> {
    const { recording, reason } = owed;
    const receipt = this.#destroys.add(owed);
    if (this.#welcome) this.#say({ type: 'destroy', recording, reason });
    const done = await within(receipt, destroyMs);
    if (done !== undefined) return done;
    this.#destroys.late(recording);
    this.#tell({ kind: 'destroy-pending', recording });
    return 'pending';
  }

  #sendDestroys(): void {
    if (this.#welcome)
      for (const { recording, reason } of this.#destroys.all())
        this.#say({ type: 'destroy', recording, reason });
  }

  #settle(): void {
    for (const resolve of this.#idle) resolve();
  }

  #tell(event: LinkEvent): void {
    this.#options.onEvent?.(event);
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether nobody between the ends can read what passes: TLS, or this host alone. */
function unseen(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'wss:' || ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
}
