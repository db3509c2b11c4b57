/** Who guesses the next draw and knows all but the key: the rule, the counters, every draw before. */
import { chanceOf, partsPerMillion, type Standing, type Terms } from '../../../agent/sampling/gate.ts';

/** The best guess there is: the likelier outcome of the very chance that the number will be held against. */
export function guess(standing: Standing, terms: Terms): boolean {
  return chanceOf(standing, terms) * 2 > partsPerMillion;
}

/** How much more often it is right than who always says what is likelier on the whole, 0..1. */
export function predictorAdvantage(guesses: readonly { guessed: boolean; selected: boolean }[]): number {
  const share = (of: (each: { guessed: boolean; selected: boolean }) => boolean): number =>
    guesses.filter(of).length / guesses.length;
  const selected = share((each) => each.selected);
  return share((each) => each.guessed === each.selected) - Math.max(selected, 1 - selected);
}
