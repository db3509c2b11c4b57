/** What a fork gathers of the copies that come to our lines, handed on as batches. */
import type { EpochMicros, Side } from '../../config/units.ts';
import { BatchWriter } from '../fork/batch.ts';
import type { ForkTotals } from '../plane.ts';

/** As the relay's forks do (`media/relay/worker-fork.ts`): what a process that is killed takes with it. */
const batchMs = 200;

export class Copies implements Disposable {
  paused = false;
  readonly #write: (batch: Uint8Array) => void;
  readonly #writer = new BatchWriter();
  readonly #packets: Record<Side, number> = { caller: 0, agent: 0 };
  readonly #bytes: Record<Side, number> = { caller: 0, agent: 0 };
  readonly #timer: NodeJS.Timeout;
  #sequence = 0;

  constructor(write: (batch: Uint8Array) => void) {
    this.#write = write;
    this.#timer = setInterval(() => this.#flush(), batchMs);
  }

  copy(side: Side, packet: Uint8Array, arrivedAt: EpochMicros): void {
    if (this.paused) return;
    if (!this.#writer.append(this.#sequence, side, arrivedAt, packet, 0, packet.length)) {
      this.#flush();
      this.#writer.append(this.#sequence, side, arrivedAt, packet, 0, packet.length);
    }
    this.#sequence += 1;
    this.#packets[side] += 1;
    this.#bytes[side] += packet.length;
  }

  /** Hands on what is there. */
  totals(stoppedAt: EpochMicros): ForkTotals {
    this.#flush();
    return { stoppedAt, packets: { ...this.#packets }, bytes: { ...this.#bytes } };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #flush(): void {
    if (this.#writer.count > 0) this.#write(this.#writer.take());
  }
}
