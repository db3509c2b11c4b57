import { setTimeout as after } from 'node:timers/promises';

/** Waits for so long, or until the signal. Endless waiting needs no timer. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted || ms <= 0) return;
  if (ms === Infinity) {
    await new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    return;
  }
  await after(ms, undefined, { signal }).catch((reason: unknown) => {
    if (!signal.aborted) throw reason;
  });
}
