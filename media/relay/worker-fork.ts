/** Copies of what arrives in a session, gathered for the main thread. */
import { BatchWriter } from '../fork/batch.ts';
import type { EpochMicros } from '../../config/units.ts';
import { sideNames, type ForkCounts, type SideNumber } from './messages.ts';
import type { ParcelWriter } from './parcel.ts';

/**
 * Copies wait for company at most this long: what a process that is killed takes with it. Twenty-five packets
 * a direction cost the link once.
 */
export const batchMs = 500;

export class WorkerFork {
  readonly #id: number;
  readonly #parcel: ParcelWriter;
  readonly #writer = new BatchWriter();
  readonly #packets: [number, number] = [0, 0];
  readonly #bytes: [number, number] = [0, 0];
  #sequence = 0;
  #flushAt: number;
  paused = false;

  constructor(id: number, parcel: ParcelWriter, now: number) {
    this.#id = id;
    this.#parcel = parcel;
    this.#flushAt = now + batchMs;
  }

  copy(number: SideNumber, packet: Uint8Array, length: number, now: number, nowMicros: number): void {
    if (this.paused) return;
    const side = sideNames[number]!;
    if (!this.#writer.append(this.#sequence, side, nowMicros, packet, 0, length)) {
      this.#flush(now);
      this.#writer.append(this.#sequence, side, nowMicros, packet, 0, length);
    }
    this.#sequence += 1;
    this.#packets[number] += 1;
    this.#bytes[number] += length;
    if (now >= this.#flushAt) this.#flush(now);
  }

  /** For a session in which nobody speaks any more. */
  flushIfDue(now: number): void {
    if (now >= this.#flushAt) this.#flush(now);
  }

  /** Hands on what was copied; nothing is copied after. */
  end(now: number, nowMicros: EpochMicros): ForkCounts {
    this.#flush(now);
    return { at: nowMicros, packets: this.#packets, bytes: this.#bytes };
  }

  #flush(now: number): void {
    this.#flushAt = now + batchMs;
    if (this.#writer.count > 0) this.#parcel.add(this.#id, this.#writer.lend());
  }
}
