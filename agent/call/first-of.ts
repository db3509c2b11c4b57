/** Waiting for whichever comes first: the one primitive of a call's story (design section 6). */

import { LinkedAbortController } from './linked-abort.ts';

/** Made once: a reason of its own would be an error with a stack for every race. */
const lost = new Error('another came first');

type Racers = Record<string, (signal: AbortSignal) => Promise<unknown>>;

/** The racer that won and what it brought. */
export type First<T extends Racers> = {
  [Name in keyof T]: { won: Name; value: Awaited<ReturnType<T[Name]>> };
}[keyof T];

/**
 * Starts all racers, returns the first to settle, and aborts the others' signal. A racer that loses must end on its
 * signal; what it throws after that is of no interest to anybody.
 *
 * @param signal the end of the call: when it aborts, so does every racer, and one of them must be waiting for it
 * @throws what the winner throws
 */
export async function firstOf<T extends Racers>(racers: T, signal?: AbortSignal): Promise<First<T>> {
  using over = signal === undefined ? new LinkedAbortController() : new LinkedAbortController(signal);
  try {
    return await new Promise<First<T>>((resolve, reject) => {
      for (const [won, racer] of Object.entries(racers)) {
        racer(over.signal).then((value) => resolve({ won, value } as First<T>), reject);
      }
    });
  } finally {
    over.abort(lost);
  }
}

/** A racer that ends when `signal` aborts, with the signal's reason. */
export function whenAborted(signal: AbortSignal): (over: AbortSignal) => Promise<unknown> {
  return (over) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve(signal.reason);
      const end = (): void => {
        signal.removeEventListener('abort', end);
        over.removeEventListener('abort', end);
        resolve(signal.reason);
      };
      signal.addEventListener('abort', end);
      over.addEventListener('abort', end);
    });
}

/** A racer that ends after `ms` milliseconds on the monotonic clock. */
export function after(ms: number): (over: AbortSignal) => Promise<void> {
  return (over) =>
    new Promise((resolve) => {
      if (over.aborted) return resolve();
      const end = (): void => {
        clearTimeout(timer);
        over.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      over.addEventListener('abort', end);
    });
}
