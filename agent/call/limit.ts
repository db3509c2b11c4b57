/** When Tacet itself ends a call: at its maximum duration, when draining has run out of time, when its peers are dead. */
import type { House } from './house.ts';
import { LinkedAbortController } from './linked-abort.ts';

export class CallLimit implements Disposable {
  readonly #over: LinkedAbortController;
  readonly #timer: NodeJS.Timeout;

  constructor({ config, shutdown }: Pick<House, 'config' | 'shutdown'>) {
    this.#over = new LinkedAbortController(shutdown);
    this.#timer = setTimeout(() => this.#over.abort(), config.sip.maxCallMinutes * 60_000);
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Ends the call now. @param reason value of the Reason header (RFC 3326) of both BYEs */
  end(reason: string): void {
    this.#over.abort(reason);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#over[Symbol.dispose]();
  }
}
