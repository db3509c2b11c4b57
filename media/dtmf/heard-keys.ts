/** Keys that a side's far end pressed, handed over at once or kept until somebody listens. */
import type { PressedDigit } from '../plane.ts';

export class HeardKeys {
  readonly #listeners = new Set<(digit: PressedDigit) => void>();
  readonly #unheard: PressedDigit[] = [];

  heard(digit: PressedDigit): void {
    if (this.#listeners.size === 0) this.#unheard.push(digit);
    for (const listener of this.#listeners) listener(digit);
  }

  listen(listener: (digit: PressedDigit) => void): Disposable {
    this.#listeners.add(listener);
    for (const digit of this.#unheard.splice(0)) listener(digit);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
