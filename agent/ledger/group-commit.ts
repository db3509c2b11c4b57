/**
 * Many writers, one sync: what is handed in while the disk is busy goes out together with the next write. A caller alone
 * waits for one sync, a hundred callers at once wait for two.
 */
export class GroupCommit<Item, Result> {
  readonly #commit: (items: readonly Item[]) => Promise<readonly Result[]>;
  #waiting: { item: Item; settled: PromiseWithResolvers<Result> }[] = [];
  #running: Promise<void> | undefined;

  /** @param commit makes a batch durable, in order; what it throws is thrown to every caller of the batch */
  constructor(commit: (items: readonly Item[]) => Promise<readonly Result[]>) {
    this.#commit = commit;
  }

  /** Resolves with the item's result when its batch is durable. */
  add(item: Item): Promise<Result> {
    const settled = Promise.withResolvers<Result>();
    this.#waiting.push({ item, settled });
    this.#running ??= this.#run();
    return settled.promise;
  }

  /** Resolves when nothing is waiting any more. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // After what the callers still do in this turn of the event loop: a call goes on before its entry is made, and callers share a batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const results = await this.#commit(batch.map(({ item }) => item));
        for (const [index, { settled }] of batch.entries()) settled.resolve(results[index]!);
      } catch (error) {
        for (const { settled } of batch) settled.reject(error);
      }
    }
    this.#running = undefined;
  }
}
