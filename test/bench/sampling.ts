/**
 * The draw against a real Redis on loopback: what a reservation costs beside a bare PING on the same connection in the same
 * run, how many decisions one connection takes, and whether ceiling, target and secrecy hold over a million calls of eight
 * agents with refusals, unanswered calls and changes of rate.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { uniformFor } from '../../agent/sampling/draw-keys.ts';
import { connect, type Connection } from '../../agent/sampling/redis-connection.ts';
import { openRedisSampler } from '../../agent/sampling/redis.ts';
import type { Sampler } from '../../agent/sampling/sampler.ts';
import type { CallId, Rate } from '../../config/units.ts';
import { guess, predictorAdvantage } from '../agent/sampling/predictor.ts';
import { RedisServer } from '../peers/redis.ts';
import { at, tallyWords, type SamplingAgent } from './sampling-tally.ts';

const calls = 1_000_000;
const agents = 8;
const inFlight = 16;
const numberOf = uniformFor(randomBytes(32));
const uniform = (call: CallId): { key: string; uniform: number } => ({
  key: 'bench',
  uniform: numberOf(call),
});

interface Agent {
  sampler: Sampler;
  connection: Connection;
}

export async function run(say: (line: string) => void): Promise<Record<string, unknown>> {
  await using redis = await RedisServer.start({ args: ['--appendonly', 'yes', '--appendfsync', 'everysec'] });
  await using open = new AsyncDisposableStack();
  const agent = await openAgent(redis.url);
  open.use(agent.sampler);
  const figures: Record<string, unknown> = await latency(agent);
  say(JSON.stringify(figures));
  figures['decisionsPerSecond'] = await throughput(agent);
  Object.assign(figures, await alone(agent));
  say(JSON.stringify(figures));
  Object.assign(figures, await together(redis.url, say));
  return figures;
}

async function openAgent(url: string): Promise<Agent> {
  const connection = connect({ url }, { hungMs: 5_000, fenceMs: 3_000 });
  const ready = Promise.withResolvers<undefined>();
  const sampler = openRedisSampler({
    connection,
    uniform,
    timeoutMs: 10_000,
    onAvailability: (available) => {
      if (available) ready.resolve(undefined);
    },
  });
  await ready.promise;
  return { sampler, connection };
}

const newCall = (): CallId => randomUUID() as CallId;

/** One after another, PING and reservation in turn, so that both meet the same machine. */
async function latency({ sampler, connection }: Agent): Promise<Record<string, unknown>> {
  const pings: number[] = [];
  const reserves: number[] = [];
  const campaign = { name: 'latency', rate: 0.3 as Rate };
  for (let turn = 0; turn < 12_000; turn += 1) {
    const begun = performance.now();
    await connection.ping();
    const pinged = performance.now();
    const draw = await sampler.reserve(campaign, newCall());
    const reserved = performance.now();
    await sampler.settle(draw, draw.selected ? 'recorded' : 'not-recorded');
    // What the compiler makes of the first thousands is not what a day of calls sees.
    if (turn < 2_000) continue;
    pings.push(pinged - begun);
    reserves.push(reserved - pinged);
  }
  const micros = (sorted: number[], share: number): number =>
    Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 1_000);
  const [ping, reserve] = [pings.toSorted((a, b) => a - b), reserves.toSorted((a, b) => a - b)];
  return {
    redisRttP50Us: micros(ping, 0.5),
    reserveP50Us: micros(reserve, 0.5),
    reserveP99Us: micros(reserve, 0.99),
    ratioToPing: Math.round((micros(reserve, 0.5) / micros(ping, 0.5)) * 100) / 100,
  };
}

async function throughput({ sampler }: Agent): Promise<number> {
  const campaign = { name: 'throughput', rate: 0.3 as Rate };
  const until = performance.now() + 5_000;
  const begun = performance.now();
  let decisions = 0;
  const line = async (): Promise<void> => {
    while (performance.now() < until) {
      const draw = await sampler.reserve(campaign, newCall());
      if (draw.reason === 'quota') decisions += 1;
    }
  };
  await Promise.all(Array.from({ length: 256 }, line));
  return Math.round(decisions / ((performance.now() - begun) / 1_000));
}

/** Calls one after another, none refused: the sample against its target, and who knows all but the key against the draw. */
async function alone({ sampler }: Agent): Promise<Record<string, unknown>> {
  const rate = 0.3 as Rate;
  const guesses: { guessed: boolean; selected: boolean }[] = [];
  const behind = [0];
  for (let call = 0; call < 30_000; call += 1) {
    const draw = await sampler.reserve({ name: 'alone', rate }, newCall());
    void sampler.settle(draw, draw.selected ? 'recorded' : 'not-recorded');
    guesses.push({ guessed: guess(draw.draw!, draw.draw!), selected: draw.selected });
    behind.push(behind.at(-1)! + rate - Number(draw.selected));
  }
  let maxDeviation = 0;
  for (let to = 50; to < behind.length; to += 1) {
    maxDeviation = Math.max(maxDeviation, Math.abs(behind[to]!), Math.abs(behind[to]! - behind[to - 50]!));
  }
  return {
    maxDeviation: Math.round(maxDeviation * 100) / 100,
    predictorAdvantage: Math.round(predictorAdvantage(guesses) * 10_000) / 10_000,
  };
}

/** All agents at once on one campaign, each a thread. `overCeiling`: moments at which more was recorded than the rate allows. */
async function together(url: string, say: (line: string) => void): Promise<Record<string, unknown>> {
  const shared = new SharedArrayBuffer(tallyWords * 8);
  const tally = new BigInt64Array(shared);
  const begun = performance.now();
  const threads = Array.from(
    { length: agents },
    (_, index) =>
      new Worker(new URL('sampling-agent.ts', import.meta.url), {
        workerData: { url, shared, calls, inFlight, seed: index + 1 } satisfies SamplingAgent,
      }),
  );
  const tell = setInterval(() => say(`${tally[at.begun]} calls, ${tally[at.recorded]} recorded`), 10_000);
  try {
    await Promise.all(threads.map((thread) => once(thread, 'exit')));
  } finally {
    clearInterval(tell);
  }
  const count = (index: number): number => Number(tally[index]);
  return {
    calls,
    agents,
    eligible: count(at.eligible),
    recorded: count(at.recorded),
    undrawn: count(at.undrawn),
    overCeiling: count(at.overCeiling),
    callsPerSecondTogether: Math.round(calls / ((performance.now() - begun) / 1_000)),
  };
}
