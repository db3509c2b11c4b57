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
import type { CallId, RecordingId } from '../../config/units.ts';
import type { DestroyReason, DestroyReceipt } from './sink.ts';

/** A destruction that is owed. */
export interface OwedDestroy {
  recording: RecordingId;
  call: CallId;
  reason: DestroyReason;
}

interface Pending extends OwedDestroy {
  /** Whoever asked has been told that it is pending: its end must be told to somebody else. */
  late: boolean;
  receipt: PromiseWithResolvers<DestroyReceipt>;
}

export class PendingDestroys {
  readonly #path: string;
  readonly #pending = new Map<string, Pending>();

  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#path = join(directory, 'destroys.json');
    if (!existsSync(this.#path)) return;
    for (const owed of JSON.parse(readFileSync(this.#path, 'utf8')) as OwedDestroy[]) {
      this.#pending.set(owed.recording, { ...owed, late: true, receipt: Promise.withResolvers() });
    }
  }

  get size(): number {
    return this.#pending.size;
  }

  all(): OwedDestroy[] {
    return [...this.#pending.values()].map(({ recording, call, reason }) => ({ recording, call, reason }));
  }

  /** Notes one durably; resolves with the store's receipt, if ever. */
  add(owed: OwedDestroy): Promise<DestroyReceipt> {
    const known = this.#pending.get(owed.recording);
    if (known !== undefined) return known.receipt.promise;
    const receipt = Promise.withResolvers<DestroyReceipt>();
    this.#pending.set(owed.recording, { ...owed, late: false, receipt });
    this.#write();
    return receipt.promise;
  }

  /** Whoever asked waits no longer. */
  late(recording: RecordingId): void {
    const pending = this.#pending.get(recording);
    if (pending !== undefined) pending.late = true;
  }

  /** Paid: gives what was owed when whoever asked has gone, so that the receipt does not get lost. */
  done(receipt: DestroyReceipt): OwedDestroy | undefined {
    const pending = this.#pending.get(receipt.recording);
    if (pending === undefined) return undefined;
    this.#pending.delete(receipt.recording);
    this.#write();
    pending.receipt.resolve(receipt);
    const { recording, call, reason } = pending;
    return pending.late ? { recording, call, reason } : undefined;
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
