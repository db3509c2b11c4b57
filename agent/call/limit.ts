/** When Tacet itself ends a call: at its maximum duration, or when draining has run out of time. */
import type { House } from './house.ts';

export function callLimit(house: Pick<House, 'config' | 'shutdown'>): Disposable & { signal: AbortSignal } {
  const tooLong = new AbortController();
  const timer = setTimeout(() => tooLong.abort(), house.config.sip.maxCallMinutes * 60_000);
  return {
    signal: AbortSignal.any([tooLong.signal, house.shutdown]),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
