/**
 * Frames on their way to the application, put together to as few writes as may be.
 *
 * drachtio-srf emits `destroy` while it reads the BYE, and an application whose `await` has not resumed yet would miss
 * it. Two frames of one call are therefore never in the same write, and nothing follows an ACK, which resumes the
 * maker of a pair of dialogs.
 */
export class Outbox {
  #waiting: { text: string; call: string; last: boolean }[] = [];

  get empty(): boolean {
    return this.#waiting.length === 0;
  }

  /**
   * @param text a whole frame
   * @param call Call-ID of the message in it, empty where there is none
   * @param last whether nothing may follow it in its write
   */
  push(text: string, call: string, last = false): void {
    this.#waiting.push({ text, call, last });
  }

  /** What goes out with the next write. */
  take(): string {
    const calls = new Set<string>();
    let count = 0;
    let text = '';
    for (const next of this.#waiting) {
      if (calls.has(next.call)) break;
      calls.add(next.call);
      text += next.text;
      count += 1;
      if (next.last) break;
    }
    this.#waiting = this.#waiting.slice(count);
    return text;
  }

  clear(): void {
    this.#waiting = [];
  }
}
