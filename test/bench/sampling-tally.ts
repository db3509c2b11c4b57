/** What the threads of the sampling bench count together, and what each is told. */

/** Places in a shared `BigInt64Array`. `allowed` is in parts per million of a conversation. */
export const at = { begun: 0, eligible: 1, allowed: 2, recorded: 3, overCeiling: 4, undrawn: 5 };
export const tallyWords = 6;

export interface SamplingAgent {
  url: string;
  shared: SharedArrayBuffer;
  /** Of all agents together. */
  calls: number;
  inFlight: number;
  seed: number;
}
