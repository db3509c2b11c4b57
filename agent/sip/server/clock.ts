/** Time as the server sees it, handed in so that tests can walk through 32 seconds in no time. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  after(delayMs: number, ring: () => void): Alarm;
}

export interface Alarm {
  cancel(): void;
}

class TimeoutAlarm implements Alarm {
  readonly #timer: NodeJS.Timeout;

  constructor(delayMs: number, ring: () => void) {
    this.#timer = setTimeout(ring, delayMs);
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after: (delayMs, ring) => new TimeoutAlarm(delayMs, ring),
};

/** RFC 3261 table 4: the estimates that all other timers derive from. */
export interface BaseTimers {
  /** Round-trip time estimate. */
  t1Ms: number;
  /** Longest interval between retransmissions of a non-INVITE request or of a response to INVITE. */
  t2Ms: number;
  /** How long a message may live in the network. */
  t4Ms: number;
}

export const rfcTimers: BaseTimers = { t1Ms: 500, t2Ms: 4_000, t4Ms: 5_000 };

/** 64*T1: how long a transaction waits for its counterpart before it gives up (timers B, F, H, J, L, M). */
export function giveUpMs(timers: BaseTimers): number {
  return 64 * timers.t1Ms;
}
