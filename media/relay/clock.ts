/** Wall-clock microseconds from a monotonic clock: one anchor for all threads, so that arrival times compare (RFC 3339 at the edge only). */
import type { EpochMicros } from '../../config/units.ts';

/** What to add to the monotonic clock (`process.hrtime`, microseconds) to have microseconds since the epoch. */
export type EpochOffset = number & { readonly unit: 'EpochOffset' };

export function monotonicMicros(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000_000 + nanoseconds / 1_000;
}

/** Anchors the monotonic clock to the wall clock, once a process; handed to its worker threads. */
export function anchorClock(): EpochOffset {
  return Math.round(Date.now() * 1_000 - monotonicMicros()) as EpochOffset;
}

export function epochMicros(offset: EpochOffset): EpochMicros {
  return Math.floor(monotonicMicros() + offset) as EpochMicros;
}
