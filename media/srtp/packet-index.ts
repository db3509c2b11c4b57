/** Which packet a 16-bit sequence number means, and whether it was here before (RFC 3711 section 3.3). */

/**
 * The index of the packet with this sequence number that lies nearest to the highest one so far (section 3.3.1). A
 * stream's first packet begins at a roll-over counter of nought.
 *
 * @param highest the highest index so far; undefined before the first packet
 * @returns -1 for a number from before the stream began
 */
export function guessIndex(highest: number | undefined, sequence: number): number {
  if (highest === undefined) return sequence;
  const last = highest & 0xffff;
  const rollovers = (highest - last) / 0x1_0000;
  const guessed =
    last < 0x8000
      ? sequence - last > 0x8000
        ? rollovers - 1
        : rollovers
      : last - 0x8000 > sequence
        ? rollovers + 1
        : rollovers;
  return guessed < 0 ? -1 : guessed * 0x1_0000 + sequence;
}

/** Indices remembered; an older one is refused unseen (section 3.3.2 asks for 64 at least). */
export const windowSize = 256;

/** Remembers which of the latest indices were taken. */
export class ReplayWindow {
  readonly #taken = new Float64Array(windowSize).fill(-1);
  highest: number | undefined;

  /** Whether this index may still be taken: not taken before, not too old to know. */
  admits(index: number): boolean {
    if (index < 0) return false;
    if (this.highest === undefined || index > this.highest) return true;
    return index > this.highest - windowSize && this.#taken[index % windowSize] !== index;
  }

  /** Takes an index that `admits` let through. */
  take(index: number): void {
    this.#taken[index % windowSize] = index;
    if (this.highest === undefined || index > this.highest) this.highest = index;
  }
}
