import type { Clock } from '../../../../agent/sip/server/clock.ts';

/** A clock that stands still until it is told to pass time. */
export class FakeClock implements Clock {
  #now = 0;
  readonly #alarms = new Set<{ at: number; ring: () => void }>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, ring: () => void): { cancel: () => void } {
    const alarm = { at: this.#now + delayMs, ring };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  /** How many alarms are set. */
  get set(): number {
    return this.#alarms.size;
  }

  /** Lets time pass, ringing what is due in its order. */
  pass(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = [...this.#alarms].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#alarms.delete(due);
      this.#now = due.at;
      due.ring();
    }
    this.#now = until;
  }
}
