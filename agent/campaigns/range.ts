/** A range of numbers as the few beginnings that cover it, so that a range is looked up as a prefix is. */
import type { NumberRange } from '../../config/schema/match.ts';

/**
 * The fewest beginnings whose numbers, at the range's length, are exactly the range: `120..131` is `12`, `130`, `131`.
 * At most 18 for each digit of the range's length.
 */
export function prefixesOf({ sign, from, to }: NumberRange): string[] {
  return covering(from, to).map((digits) => sign + digits);
}

function covering(from: string, to: string): string[] {
  if (/^0*$/u.test(from) && /^9*$/u.test(to)) return [''];
  const [first, last] = [Number(from[0]), Number(to[0])];
  const found: string[] = [];
  for (let digit = first; digit <= last; digit += 1) {
    const low = digit === first ? from.slice(1) : '0'.repeat(from.length - 1);
    const high = digit === last ? to.slice(1) : '9'.repeat(to.length - 1);
    found.push(...covering(low, high).map((rest) => `${digit}${rest}`));
  }
  return found;
}
