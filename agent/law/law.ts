/** The law at hand for calls: constraints computed once for a campaign, the places of the numbers, and the day. */
import type { Campaign } from '../../config/schema.ts';
import { constrainPlaces, type CallFacts } from './constrain.ts';
import { LawConflict, type Constraint } from './constraint.ts';
import type { LawBook } from './load.ts';
import { numberPlaces } from './touch.ts';

export class Law {
  readonly book: LawBook;
  readonly #known = new WeakMap<Campaign, { day: string; byPlaces: Map<string, Constraint> }>();

  constructor(book: LawBook) {
    this.book = book;
  }

  /**
   * The constraint on a call, from memory after the first call of that campaign from that country on that day. The key is
   * places, not numbers: as many as there are countries.
   */
  constrain(campaign: Campaign, { outside, today }: CallFacts): Constraint {
    let known = this.#known.get(campaign);
    if (known?.day !== today) {
      known = { day: today, byPlaces: new Map() };
      this.#known.set(campaign, known);
    }
    const places = numberPlaces(campaign, outside);
    const key = places.map((place) => place ?? '?').join();
    let constraint = known.byPlaces.get(key);
    if (constraint === undefined) {
      constraint = constrainPlaces(campaign, places, today, this.book);
      known.byPlaces.set(key, constraint);
    }
    return constraint;
  }

  /**
   * Takes up a campaign: computes what its own market asks, before the first call comes.
   *
   * @throws LawConflict when one of its laws asks to keep what another forbids to keep
   */
  take(campaign: Campaign, today: string): Constraint {
    const constraint = this.constrain(campaign, { outside: [], today });
    const conflicts = constraint.blocked.filter(({ kind }) => kind === 'conflict').map(({ text }) => text);
    if (conflicts.length > 0) throw new LawConflict(campaign.name, conflicts);
    return constraint;
  }
}
