/**
 * Aborts when one of its sources does, or when it is told to, for as long as a scope lasts. In place of AbortSignal.any where a source lives as
 * long as the process: what `any` leaves on that (weak references) only a collection of the whole heap takes away, thousands of them in
 * one go while calls wait.
 */
export class LinkedAbortController extends AbortController implements Disposable {
  readonly #sources: readonly AbortSignal[];
  readonly #follow = ({ target }: Event): void => this.abort((target as AbortSignal).reason);

  constructor(...sources: readonly AbortSignal[]) {
    super();
    this.#sources = sources;
    for (const source of sources) {
      if (source.aborted) this.abort(source.reason);
      else source.addEventListener('abort', this.#follow);
    }
  }

  /** Follows its sources no longer. */
  [Symbol.dispose](): void {
    for (const source of this.#sources) source.removeEventListener('abort', this.#follow);
  }
}
