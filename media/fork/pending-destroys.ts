/** Destructions that the store has not confirmed: on stable storage before anybody relies on them, kept over restarts. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { RecordingId } from '../../config/units.ts';
import type { DestroyReason, DestroyReceipt } from './sink.ts';

interface Pending {
  recording: RecordingId;
  reason: DestroyReason;
  receipt: PromiseWithResolvers<DestroyReceipt>;
}

export class PendingDestroys {
  readonly #path: string;
  readonly #pending = new Map<string, Pending>();

  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#path = join(directory, 'destroys.json');
    if (!existsSync(this.#path)) return;
    const known = JSON.parse(readFileSync(this.#path, 'utf8')) as {
      recording: RecordingId;
      reason: DestroyReason;
    }[];
    for (const { recording, reason } of known) {
      this.#pending.set(recording, { recording, reason, receipt: Promise.withResolvers() });
    }
  }

  get size(): number {
    return this.#pending.size;
  }

  all(): { recording: RecordingId; reason: DestroyReason }[] {
    return [...this.#pending.values()].map(({ recording, reason }) => ({ recording, reason }));
  }

  /** Notes one durably; resolves with the store's receipt, if ever. */
  add(recording: RecordingId, reason: DestroyReason): Promise<DestroyReceipt> {
    const known = this.#pending.get(recording);
    if (known !== undefined) return known.receipt.promise;
    const receipt = Promise.withResolvers<DestroyReceipt>();
    this.#pending.set(recording, { recording, reason, receipt });
    this.#write();
    return receipt.promise;
  }

  done(receipt: DestroyReceipt): void {
    const pending = this.#pending.get(receipt.recording);
    if (pending === undefined) return;
    this.#pending.delete(receipt.recording);
    this.#write();
    pending.receipt.resolve(receipt);
  }

  #write(): void {
    const temporary = `${this.#path}.new`;
    const fd = openSync(temporary, 'w', 0o600);
    try {
      writeSync(fd, JSON.stringify(this.all()));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, this.#path);
  }
}
