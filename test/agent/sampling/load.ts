/** Many conversations at once, and what is really recorded of them, whatever Redis remembers. */
import { randomUUID } from 'node:crypto';
import { setImmediate as turn, setTimeout as after } from 'node:timers/promises';
import { expect } from 'vitest';
import { inPartsPerMillion, partsPerMillion } from '../../../agent/sampling/gate.ts';
import type { Sampler } from '../../../agent/sampling/sampler.ts';
import type { CallId, Rate } from '../../../config/units.ts';

export class Load {
  readonly campaign: { name: string; rate: Rate };
  /** Conversations that are recorded, or were. */
  recorded = 0;
  /** Draws that were answered, and conversations that passed because none was. */
  drawn = 0;
  undrawn = 0;
  readonly #settling = new Set<Promise<void>>();
  readonly #lines: Promise<void>[] = [];
  #selections = 0;
  #stopped = false;

  constructor(rate: number) {
    this.campaign = { name: randomUUID(), rate: rate as Rate };
  }

  /** Goes on with as many conversations at a time, each followed by the next, until `stop`. */
  begin(sampler: Sampler, atOnce: number): void {
    for (let line = 0; line < atOnce; line += 1) this.#lines.push(this.#converse(sampler));
  }

  /** Resolves when so many draws more were answered. */
  async draws(more: number): Promise<void> {
    const wanted = this.drawn + more;
    while (this.drawn < wanted) await turn();
  }

  /** Resolves when so many conversations more were drawn or passed. */
  async conversations(more: number): Promise<void> {
    const wanted = this.eligible + more;
    while (this.eligible < wanted) await turn();
  }

  /** Resolves when a call is selected that is drawn from now on. */
  async selects(): Promise<void> {
    const wanted = this.#selections + 1;
    while (this.#selections < wanted) await turn();
  }

  /** Ends when everything that was begun is over and counted. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lines);
    await Promise.all(this.#settling);
  }

  /** Every conversation that was begun, drawn or passed. */
  get eligible(): number {
    return this.drawn + this.undrawn;
  }

  /** I3, of what is really recorded, when all is over. */
  expectCeiling(): void {
    const ppm = inPartsPerMillion(this.campaign.rate);
    expect(this.recorded * partsPerMillion).toBeLessThanOrEqual(this.eligible * ppm + partsPerMillion);
  }

  async #converse(sampler: Sampler): Promise<void> {
    while (!this.#stopped) {
      const draw = await sampler.reserve(this.campaign, randomUUID() as CallId);
      if (draw.reason === 'unavailable') {
        this.undrawn += 1;
        void this.#settle(sampler.settle(draw, 'not-recorded'));
        // Calls come at a pace of their own.
        await after(5);
        continue;
      }
      this.drawn += 1;
      if (!draw.selected) {
        void this.#settle(sampler.settle(draw, 'not-recorded'));
        continue;
      }
      this.#selections += 1;
      this.recorded += 1;
      // Told, and a fifth refuses.
      await turn();
      const refused = this.#selections % 5 === 0;
      if (refused) this.recorded -= 1;
      void this.#settle(sampler.settle(draw, refused ? 'not-recorded' : 'recorded'));
    }
  }

  async #settle(settling: Promise<void>): Promise<void> {
    this.#settling.add(settling);
    await settling;
    this.#settling.delete(settling);
  }
}
