/**
 * Many writers, one sync: what is handed in while the disk is busy goes out together with the next write. A caller alone
 * waits for one sync, a hundred callers at once wait for two. What nothing waits for lingers a little, so that it costs no
 * sync of its own: in the thread of a call's set-up each costs as much as the entry itself.
 */
export class GroupCommit<Item, Result> {
  readonly #commit: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly #lingerMs: number;
  #waiting: { item: Item; settled: PromiseWithResolvers<Result> }[] = [];
  #running: Promise<void> | undefined;
  /** Something waits for what was handed in since the batch under way began. */
  #awaited = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param commit makes a batch durable, in order; what it throws is thrown to every caller of the batch */
  constructor(commit: (items: readonly Item[]) => Promise<readonly Result[]>, lingerMs = 100) {
    this.#commit = commit;
    this.#lingerMs = lingerMs;
  }

  /**
   * Resolves with the item's result when its batch is durable. Items become durable in the order in which they were added.
   *
   * @param urgency `soon`: with the next urgent item, or when it has lingered long enough
   */
  add(item: Item, urgency: Urgency = 'now'): Promise<Result> {
    const settled = Promise.withResolvers<Result>();
    this.#waiting.push({ item, settled });
    if (urgency === 'now') {
      this.#awaited = true;
      this.#start();
    } else if (this.#running === undefined) this.#linger();
    return settled.promise;
  }

  /** Resolves when nothing is waiting any more; what lingers goes out at once. */
  async idle(): Promise<void> {
    while (this.#waiting.length > 0 || this.#running !== undefined) {
      this.#start();
      await this.#running;
    }
  }

  #linger(): void {
    this.#timer ??= setTimeout(() => this.#start(), this.#lingerMs);
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // After what the callers still do in this turn of the event loop: a call goes on before its entry is made, and callers share a batch.
    await new Promise((resolve) => setImmediate(resolve));
    do {
      const batch = this.#waiting;
      this.#waiting = [];
      this.#awaited = false;
      try {
        const results = await this.#commit(batch.map(({ item }) => item));
        for (const [index, { settled }] of batch.entries()) settled.resolve(results[index]!);
      } catch (error) {
        for (const { settled } of batch) settled.reject(error);
      }
    } while (this.#awaited);
    this.#running = undefined;
    if (this.#waiting.length > 0) this.#linger();
  }
}

/** `now`: something waits for it. `soon`: nothing does. */
export type Urgency = 'now' | 'soon';
