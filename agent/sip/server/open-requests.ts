/**
 * Requests of the application inside a dialog that have no final response, and what waits for that.
 *
 * drachtio-srf 5.0.29 takes an UPDATE for one to an INVITE of its own that rings, whenever any request of it with the
 * same Call-ID is open: it is emitted where nobody listens, and never answered. In a dialog that is up, UPDATE is
 * therefore delivered only while no request is open. The 64*T1 in which it must be answered go on meanwhile.
 */
export class OpenRequests {
  #open = 0;
  #waiting: (() => void)[] = [];

  began(): void {
    this.#open += 1;
  }

  /** Its final response, or one that was made up, has been delivered. */
  ended(): void {
    this.#open -= 1;
    if (this.#open > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const act of waiting) act();
  }

  /** At once, or as soon as none is open. */
  whenNone(act: () => void): void {
    if (this.#open === 0) act();
    else this.#waiting.push(act);
  }
}
