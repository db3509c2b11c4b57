/** `npm run fuzz [-- SECONDS [SEED]]`: every target in turn, damaged input without end; the first fault is printed and ends it. */
import { mutate, seeded } from './mutate.ts';
import { targets } from './targets.ts';
import type { Target } from './targets.ts';

/** Runs a target a number of times. @throws the fault, with the bytes that showed it */
export function fuzz(target: Target, seed: number, times: number): void {
  const below = seeded(seed);
  for (let turn = 0; turn < times; turn++) {
    const bytes = mutate(target.seeds, below);
    const given = bytes.toString('base64');
    try {
      target.run(bytes);
    } catch (error) {
      throw new Error(`${target.name}, seed ${seed}, turn ${turn}: base64 ${given}`, { cause: error });
    }
  }
}

if (import.meta.main) {
  const seconds = Number(process.argv[2] ?? 60);
  const first = Number(process.argv[3] ?? Date.now() % 2 ** 31);
  const end = performance.now() + seconds * 1_000;
  let rounds = 0;
  for (; performance.now() < end; rounds++) {
    for (const target of targets) fuzz(target, first + rounds, 500);
  }
  console.log(`${rounds} rounds of 500 on each of ${targets.length} targets from seed ${first}: no fault`);
}
