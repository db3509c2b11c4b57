/**
 * One agent of the sampling bench, a thread with a connection and a key of its own. One call in twenty is never answered, one in
 * ten of the others is refused; the rate changes as the calls go on.
 *
 * What a conversation allows is counted before Redis hears of its end, and what was recorded after Redis granted it: so no
 * other thread can have drawn on more than is counted.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { workerData } from 'node:worker_threads';
import { randomFrom } from '../../agent/cli/demo/plan.ts';
import { uniformFor } from '../../agent/sampling/draw-keys.ts';
import { partsPerMillion } from '../../agent/sampling/gate.ts';
import { openRedisSampler } from '../../agent/sampling/redis.ts';
import type { CallId, Rate } from '../../config/units.ts';
import { at, type SamplingAgent } from './sampling-tally.ts';

const { url, shared, calls, inFlight, seed } = workerData as SamplingAgent;
const rates = [0.3, 0.1, 0.5, 0.05, 0.9, 0.3] as Rate[];
const tally = new BigInt64Array(shared);
const numberOf = uniformFor(randomBytes(32));
const random = randomFrom(seed);
const ready = Promise.withResolvers<undefined>();

await using sampler = openRedisSampler({
  url,
  uniform: (call) => ({ key: 'bench', uniform: numberOf(call) }),
  timeoutMs: 10_000,
  onAvailability: (available) => {
    if (available) ready.resolve(undefined);
  },
});
await ready.promise;
await Promise.all(Array.from({ length: inFlight }, line));

async function line(): Promise<void> {
  for (;;) {
    const begun = Number(Atomics.add(tally, at.begun, 1n));
    if (begun >= calls) return;
    const rate = rates[Math.floor((begun / calls) * rates.length)]!;
    const draw = await sampler.reserve({ name: 'together', rate }, randomUUID() as CallId);
    if (draw.draw === undefined) Atomics.add(tally, at.undrawn, 1n);
    const fate = random();
    if (fate < 0.05) {
      await sampler.settle(draw, 'no-conversation');
    } else {
      const isRecorded = draw.selected && fate > 0.15;
      count(draw.ppm, isRecorded);
      await sampler.settle(draw, isRecorded ? 'recorded' : 'not-recorded');
    }
  }
}

function count(ppm: number, isRecorded: boolean): void {
  Atomics.add(tally, at.eligible, 1n);
  Atomics.add(tally, at.allowed, BigInt(ppm));
  if (!isRecorded) return;
  const recorded = Atomics.add(tally, at.recorded, 1n) + 1n;
  const allowed = Atomics.load(tally, at.allowed);
  if (recorded * BigInt(partsPerMillion) > allowed + BigInt(partsPerMillion)) {
    Atomics.add(tally, at.overCeiling, 1n);
  }
}
