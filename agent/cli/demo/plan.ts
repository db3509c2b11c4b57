/** What the callers of the demo do. */
export type Script = 'talk' | 'refuser' | 'abandon' | 'busy';

/** Shares of the scripts, in any scale: `{ talk: 3, refuser: 1 }` is three quarters and one. */
export type Mix = Partial<Record<Script, number>>;

/** A number to call, and one of the same campaign at which the PBX is busy. */
export interface Destination {
  campaign: string;
  called: string;
  busy: string;
}

export interface PlannedCall {
  script: Script;
  campaign: string;
  called: string;
  caller: string;
}

const scripts: readonly Script[] = ['talk', 'refuser', 'abandon', 'busy'];

/**
 * Who calls whom and does what: the mix as exactly as whole calls allow, shuffled, spread evenly over the
 * destinations. The same seed gives the same plan.
 */
export function planCalls(options: {
  calls: number;
  mix: Mix;
  seed: number;
  destinations: readonly Destination[];
}): PlannedCall[] {
  const random = randomFrom(options.seed);
  const total = scripts.reduce((sum, script) => sum + (options.mix[script] ?? 0), 0);
  // Rounding the running sum, not each share, makes the parts add up to the whole.
  let shareSoFar = 0;
  const drawn: Script[] = [];
  for (const script of scripts) {
    shareSoFar += options.mix[script] ?? 0;
    const until = total === 0 ? 0 : Math.round((shareSoFar / total) * options.calls);
    while (drawn.length < until) drawn.push(script);
  }
  shuffle(drawn, random);
  return drawn.map((script, index) => {
    const destination = options.destinations[index % options.destinations.length]!;
    return {
      script,
      campaign: destination.campaign,
      called: script === 'busy' ? destination.busy : destination.called,
      // 01 99 00 is reserved for fiction (Arcep's numbering plan).
      caller: `+33199${String(index).padStart(6, '0')}`,
    };
  });
}

/** Reproducible random numbers in [0, 1): mulberry32. Never for anything that must not be guessed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

function shuffle(items: Script[], random: () => number): void {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other]!, items[last]!];
  }
}
