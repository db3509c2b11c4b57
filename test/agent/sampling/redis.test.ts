import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openRedisSampler, type RedisSamplerOptions } from '../../../agent/sampling/redis.ts';
import type { Sampler } from '../../../agent/sampling/sampler.ts';
import type { CallId, Rate } from '../../../config/units.ts';
import { freePort } from '../../peers/free-port.ts';
import { RedisServer } from '../../peers/redis.ts';
import { leaseMs, samplerContract, uniform } from './contract.ts';

const newCall = (): CallId => randomUUID() as CallId;

/** A sampler whose reachability can be awaited. */
class Client implements AsyncDisposable {
  readonly sampler: Sampler;
  readonly told: [boolean, string | undefined][] = [];
  #waiting: (() => void)[] = [];

  constructor(options: Pick<RedisSamplerOptions, 'url'> & Partial<RedisSamplerOptions>) {
    this.sampler = openRedisSampler({
      uniform,
      timeoutMs: 10_000,
      leaseMs,
      fenceMs: 0,
      closeMs: 200,
      ...options,
      onAvailability: (available, why) => {
        this.told.push([available, why]);
        for (const resolve of this.#waiting.splice(0)) resolve();
      },
    });
  }

  async until(available: boolean): Promise<void> {
    while (this.sampler.available !== available)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sampler[Symbol.asyncDispose]();
  }
}

samplerContract(async (clock) => {
  const server = await RedisServer.start({ durable: true });
  const all = Array.from({ length: 4 }, () => new Client({ url: server.url, clock: () => clock.now }));
  const ready = async (): Promise<Sampler[]> => {
    await Promise.all(all.map((client) => client.until(true)));
    return all.map(({ sampler }) => sampler);
  };
  return {
    clients: ready,
    async restart() {
      await server.kill();
      await Promise.all(all.map((client) => client.until(false)));
      await server.restart();
      await ready();
    },
    async [Symbol.asyncDispose]() {
      for (const client of all) await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
});

describe('the Redis sampler', () => {
  let server: RedisServer;
  let watch: Client;
  let of: { name: string; rate: Rate };
  beforeAll(async () => {
    server = await RedisServer.start({ durable: true });
  });
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(async () => {
    of = { name: randomUUID(), rate: 1 as Rate };
    watch = new Client({ url: server.url });
    await watch.until(true);
  });
  afterEach(async () => {
    server.thaw();
    await watch[Symbol.asyncDispose]();
  });

  test('no Redis: not selected, at once, and told why', async () => {
    await using client = new Client({ url: `redis://127.0.0.1:${await freePort()}` });
    expect(await client.sampler.reserve(of, newCall())).toMatchObject({
      selected: false,
      reason: 'unavailable',
      basis: undefined,
    });
    expect(client.sampler.available).toBe(false);
    expect(await client.sampler.counts(of.name)).toBeUndefined();
  });

  test('a Redis that hangs costs one budget, then nothing; what it grants late is given back', async () => {
    await using client = new Client({ url: server.url, timeoutMs: 20, hungMs: 60_000 });
    await client.until(true);
    server.freeze();
    const late = await client.sampler.reserve(of, newCall());
    expect(late).toMatchObject({ selected: false, reason: 'unavailable' });
    expect(client.told.at(-1)).toEqual([false, 'no answer within 20 ms']);
    const next = await client.sampler.reserve(of, newCall());
    const settled = client.sampler.settle(next, 'not-recorded');
    server.thaw();
    await client.until(true);
    await settled;
    expect(await watch.sampler.counts(of.name)).toEqual({ eligible: 1, recorded: 0, open: 0 });
    expect(await watch.sampler.reserve(of, late.call)).toMatchObject({ selected: false, reason: 'quota' });
    await client.sampler.settle(late, 'not-recorded');
    expect(await watch.sampler.counts(of.name)).toEqual({ eligible: 2, recorded: 0, open: 0 });
  });

  test('a Redis that hangs for long is given up and found again; what was owed is counted once', async () => {
    await using client = new Client({ url: server.url, timeoutMs: 20, hungMs: 100 });
    await client.until(true);
    const draw = await client.sampler.reserve(of, newCall());
    server.freeze();
    const settled = client.sampler.settle(draw, 'recorded');
    await client.sampler.reserve(of, newCall());
    await client.until(false);
    server.thaw();
    await client.until(true);
    await settled;
    expect(await watch.sampler.counts(of.name)).toEqual({ eligible: 1, recorded: 1, open: 0 });
  });

  test('a Redis that is killed and comes back has lost nothing that it granted', async () => {
    const draw = await watch.sampler.reserve(of, newCall());
    expect(draw.selected).toBe(true);
    await server.kill();
    await watch.until(false);
    const without = await watch.sampler.reserve(of, newCall());
    expect(without).toMatchObject({ selected: false, reason: 'unavailable' });
    const settled = Promise.all([
      watch.sampler.settle(draw, 'recorded'),
      watch.sampler.settle(without, 'not-recorded'),
      watch.sampler.settle(draw, 'recorded'),
    ]);
    await server.restart();
    await settled;
    await watch.until(true);
    expect(await watch.sampler.counts(of.name)).toEqual({ eligible: 2, recorded: 1, open: 0 });
  });

  test('closing without a Redis lets go of who waits for a settlement', async () => {
    const client = new Client({ url: `redis://127.0.0.1:${await freePort()}`, closeMs: 20 });
    const settled = client.sampler.settle(await client.sampler.reserve(of, newCall()), 'not-recorded');
    await client[Symbol.asyncDispose]();
    await settled;
  });

  test('closing delivers what is owed', async () => {
    const client = new Client({ url: server.url });
    await client.until(true);
    const draw = await client.sampler.reserve(of, newCall());
    void client.sampler.settle(draw, 'recorded');
    await client[Symbol.asyncDispose]();
    expect(await watch.sampler.counts(of.name)).toEqual({ eligible: 1, recorded: 1, open: 0 });
  });
});
