/** When Tacet itself ends a call: at its maximum duration, when draining has run out of time, when its peers are dead. */
import type { House } from './house.ts';

export interface CallLimit extends Disposable {
  readonly signal: AbortSignal;
  /** Ends the call now. @param reason value of the Reason header (RFC 3326) of both BYEs */
  end(reason: string): void;
}

export function callLimit(house: Pick<House, 'config' | 'shutdown'>): CallLimit {
  const reached = new AbortController();
  const timer = setTimeout(() => reached.abort(), house.config.sip.maxCallMinutes * 60_000);
  return {
    signal: AbortSignal.any([reached.signal, house.shutdown]),
    end: (reason) => reached.abort(reason),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
