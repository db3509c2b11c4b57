/** Both sides of an alignment as they are heard, its pieces put together. */
import type { Side } from '../../../config/units.ts';
import type { Alignment } from '../../../media/rtp/alignment.ts';

/** @param pieceSamples of a side in one piece */
export async function samplesOf(
  { length, audio }: Alignment,
  pieceSamples = 4_000,
): Promise<Record<Side, Int16Array>> {
  const sides = { caller: new Int16Array(length), agent: new Int16Array(length) };
  let at = 0;
  for (const piece of await audio(new Int16Array(2 * pieceSamples))) {
    for (let index = 0; index < piece.length; index += 2, at++) {
      sides.caller[at] = piece[index]!;
      sides.agent[at] = piece[index + 1]!;
    }
  }
  return sides;
}
