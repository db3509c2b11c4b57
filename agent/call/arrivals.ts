/** Who asks to come into a call in the place of one who is there: one at a time, carried out by the call's own story. */
import type { Side } from '../../config/units.ts';
import type { Newcomer } from './newcomer.ts';

/** What became of an arrival: the status that whoever asked for it is told when nobody came in. */
export type Settled = { seated: true } | Unseated;

export interface Unseated {
  seated: false;
  status: number;
  reason: string;
}

export interface Arrival {
  /** Whose place is taken. */
  side: Side;
  /** By a REFER, or by an INVITE with Replaces. */
  by: 'transfer' | 'pickup';
  newcomer: Newcomer;
  /** Tells whoever asked for it how it goes, with a status line as in a response; `over` the last time. */
  progress: (status: string, over: boolean) => Promise<void>;
}

interface Waiting extends Arrival {
  settle: (settled: Settled) => void;
}

const gone: Unseated = { seated: false, status: 481, reason: 'Call/Transaction Does Not Exist' };

export class Arrivals {
  #current: Waiting | undefined;
  #closed = false;
  #wake: (() => void) | undefined;

  /** Whether somebody is on the way in: another one is asked to wait (491). */
  get busy(): boolean {
    return this.#current !== undefined;
  }

  /** The call is over, or is not ours to change: a newcomer has nowhere to go. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when the call's story has seated the newcomer, or has not: also when another is on the way, or the call ends. */
  ask(arrival: Arrival): Promise<Settled> {
    if (this.#closed) return Promise.resolve(gone);
    if (this.busy) return Promise.resolve({ seated: false, status: 491, reason: 'Request Pending' });
    return new Promise((settle) => {
      this.#current = { ...arrival, settle };
      this.#wake?.();
    });
  }

  /** A racer that ends when somebody asks; `current` is it. */
  asked(over: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#current !== undefined || over.aborted) return resolve();
      const end = (): void => {
        over.removeEventListener('abort', end);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = end;
      over.addEventListener('abort', end);
    });
  }

  get current(): Arrival | undefined {
    return this.#current;
  }

  settle(settled: Settled): void {
    const { settle } = this.#current ?? {};
    this.#current = undefined;
    settle?.(settled);
  }

  /** Nobody comes in any more. */
  close(): void {
    this.#closed = true;
    this.settle(gone);
  }
}
