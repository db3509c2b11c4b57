/** One recording on its way to the store: its frames, numbered, until each is acknowledged. */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentMessage, Frame, StoreMessage } from './protocol.ts';
import { FrameSealer } from './seal.ts';
import type {
  DestroyReason,
  DestroyReceipt,
  Gap,
  RecordingEnd,
  RecordingHeader,
  RecordingStream,
} from './sink.ts';

/** What all recordings of a link share: how much is kept, and where. */
export interface Spool {
  directory: string;
  sealTo: string;
  maxBytes: number;
  ramBytes: number;
  inRam: number;
  onDisk: number;
}

export interface OutgoingHooks {
  /** There is something to send. */
  send: () => void;
  say: (message: AgentMessage) => void;
  /** Nothing of it is left to deliver. */
  gone: () => void;
  destroy: (reason: DestroyReason) => Promise<DestroyReceipt | 'pending'>;
  failed: (reason: string) => void;
  closeMs: number;
}

/** A frame that is not acknowledged: in memory, or sealed on disk. */
type Kept = { bytes: Uint8Array } | { at: number; length: number };

export class OutgoingRecording implements RecordingStream {
  readonly stream: number;
  readonly header: RecordingHeader;
  /** Resolves with undefined when the store took it, or with why it refused. */
  readonly answered: Promise<string | undefined>;
  readonly #spool: Spool;
  readonly #hooks: OutgoingHooks;
  readonly #failed = new AbortController();
  readonly #answer = Promise.withResolvers<string | undefined>();
  readonly #closed = Promise.withResolvers<'stored' | 'spooled'>();
  readonly #kept = new Map<number, Kept>();
  readonly #gaps: Gap[] = [];
  /** Opened when memory is full for the first time. */
  #disk: { fd: number; sealer: FrameSealer; used: number } | undefined;
  #frames = 0;
  #acknowledged = 0;
  /** Next frame to send on this connection; undefined while the store has not taken the recording on it. */
  #next: number | undefined;
  #end: RecordingEnd | undefined;
  #over = false;

  constructor(stream: number, header: RecordingHeader, spool: Spool, hooks: OutgoingHooks) {
    this.stream = stream;
    this.header = header;
    this.#spool = spool;
    this.#hooks = hooks;
    this.answered = this.#answer.promise;
  }

  get recording(): RecordingHeader['recording'] {
    return this.header.recording;
  }

  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  write(batch: Uint8Array): void {
    if (this.#over || this.failed.aborted) return;
    const spool = this.#spool;
    if (spool.inRam + spool.onDisk + batch.length > spool.maxBytes) return this.#fail('spool-full');
    const number = this.#frames++;
    if (spool.inRam + batch.length <= spool.ramBytes) {
      this.#kept.set(number, { bytes: batch });
      spool.inRam += batch.length;
    } else {
      try {
        this.#kept.set(number, this.#toDisk(number, batch));
      } catch {
        this.#frames -= 1;
        return this.#fail('spool-unwritable');
      }
    }
    this.#hooks.send();
  }

  gap(gap: Gap): void {
    if (this.#over) return;
    this.#gaps.push(gap);
    if (this.#next !== undefined) this.#hooks.say({ type: 'gap', stream: this.stream, gap });
  }

  async close(end: RecordingEnd): Promise<'stored' | 'spooled'> {
    this.#end ??= end;
    this.#closeWhenSent();
    const timer = setTimeout(() => this.#closed.resolve('spooled'), this.#hooks.closeMs);
    const kept = await this.#closed.promise;
    clearTimeout(timer);
    return kept;
  }

  async destroy(reason: DestroyReason): Promise<DestroyReceipt | 'pending'> {
    this.#release();
    return this.#hooks.destroy(reason);
  }

  /** The link closes for good: whoever waits is told that it is not stored. */
  abandon(): void {
    this.#closed.resolve('spooled');
    this.#forget();
  }

  disconnected(): void {
    this.#next = undefined;
    this.#answer.resolve(undefined);
  }

  /** The next frame to send, if the store wants any. */
  next(): Frame | undefined {
    if (this.#next === undefined || this.#over) return undefined;
    if (this.#next >= this.#frames) return undefined;
    const number = this.#next;
    const kept = this.#kept.get(number);
    if (kept === undefined) return undefined;
    this.#next += 1;
    const frame = { stream: this.stream, number };
    if (this.#next === this.#frames) queueMicrotask(() => this.#closeWhenSent());
    return 'bytes' in kept
      ? { ...frame, sealed: false, batch: kept.bytes }
      : { ...frame, sealed: true, batch: this.#fromDisk(kept) };
  }

  take(message: Extract<StoreMessage, { type: 'opened' | 'refused' | 'closed' }>): void {
    switch (message.type) {
      case 'opened':
        this.#answer.resolve(undefined);
        this.acknowledge(message.position);
        if (message.position < this.#acknowledged) {
          // What was acknowledged is not kept here any more: the rest cannot be joined to it.
          this.#fail('store-lost-audio');
          this.#release();
          return;
        }
        this.#next = this.#acknowledged;
        for (const gap of this.#gaps) this.#hooks.say({ type: 'gap', stream: this.stream, gap });
        this.#hooks.send();
        this.#closeWhenSent();
        return;
      case 'refused':
        this.#answer.resolve(message.reason);
        this.#fail(message.reason);
        this.#release();
        return;
      case 'closed':
        this.#closed.resolve('stored');
        this.#release();
        return;
    }
  }

  /** The store has all frames below `position` on stable storage. */
  acknowledge(position: number): void {
    if (position > this.#frames)
      throw new Error(`stream ${this.stream}: ${position} frames acknowledged, ${this.#frames} written`);
    for (; this.#acknowledged < position; this.#acknowledged++) this.#drop(this.#acknowledged);
  }

  /** The end goes after the last frame. */
  #closeWhenSent(): void {
    if (this.#end === undefined || this.#next !== this.#frames || this.#over) return;
    this.#hooks.say({ type: 'close', stream: this.stream, end: this.#end, frames: this.#frames });
  }

  #fail(reason: string): void {
    if (this.failed.aborted) return;
    this.#failed.abort(reason);
    this.#hooks.failed(reason);
  }

  #release(): void {
    if (this.#over) return;
    this.#forget();
    this.#hooks.gone();
  }

  #forget(): void {
    this.#over = true;
    for (const number of [...this.#kept.keys()]) this.#drop(number);
    if (this.#disk === undefined) return;
    closeSync(this.#disk.fd);
    rmSync(this.#path);
    this.#disk = undefined;
  }

  #drop(number: number): void {
    const kept = this.#kept.get(number);
    if (kept === undefined) return;
    this.#kept.delete(number);
    if ('bytes' in kept) this.#spool.inRam -= kept.bytes.length;
    else this.#spool.onDisk -= kept.length;
  }

  get #path(): string {
    return join(this.#spool.directory, `${this.recording}.sealed`);
  }

  #toDisk(number: number, batch: Uint8Array): Kept {
    const disk = (this.#disk ??= {
      fd: openSync(this.#path, 'w+', 0o600),
      sealer: new FrameSealer(this.#spool.sealTo),
      used: 0,
    });
    const sealed = disk.sealer.seal(number, batch);
    const at = disk.used;
    for (let written = 0; written < sealed.length;)
      written += writeSync(disk.fd, sealed, written, sealed.length - written, at + written);
    disk.used += sealed.length;
    this.#spool.onDisk += sealed.length;
    return { at, length: sealed.length };
  }

  #fromDisk({ at, length }: { at: number; length: number }): Uint8Array {
    const bytes = new Uint8Array(length);
    if (this.#disk !== undefined) readSync(this.#disk.fd, bytes, 0, length, at);
    return bytes;
  }
}
