import { setTimeout as after } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { RedisServer } from '../../peers/redis.ts';
import { agentWith, anna, bruno, Clock, raise, support } from './live-for-tests.ts';

/** Resolves when it is true; looked at every few milliseconds, and only the test's own limit ends it. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await after(2);
}

const list = 'tacet:{changes}:list';

/** Nothing but the message tells: the poll comes after the test. */
const byMessage = 3_600_000;

describe('two agents on one Redis', () => {
  test('a change is known to the other by its message, before its next call decides', async () => {
    await using server = await RedisServer.start();
    await using one = await agentWith({ redis: server.url, pollMs: byMessage });
    await using other = await agentWith({ redis: server.url, pollMs: byMessage });
    await until(() => one.live.isCurrent && other.live.isCurrent);
    await subscribed(server, 2);
    await one.live.set(anna, 'support', { rate: 0.1 });
    await until(() => other.live.state.version === 1);
    expect(other.live.now(support).rate).toBe(0.1);
    await other.live.stop(bruno, { of: 'everything' });
    await until(() => one.live.stopOf('support') !== undefined);
    await one.live.tell();
    await other.live.tell();
    // Each ledger has the whole history.
    expect(one.entries).toEqual(other.entries);
    expect(one.entries.map(({ what, by }) => [what, by])).toEqual([
      ['campaign.set', 'anna'],
      ['stopped', 'bruno'],
    ]);
  });

  test('a message that is lost is made up for by the poll, and the channel is subscribed to again', async () => {
    await using server = await RedisServer.start();
    await using one = await agentWith({ redis: server.url });
    await using other = await agentWith({ redis: server.url });
    await using control = redis(server);
    await until(() => one.live.isCurrent && other.live.isCurrent);
    await subscribed(server, 2);
    await control.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await one.live.set(anna, 'support', { rate: 0.1 });
    await until(() => other.live.state.version === 1);
    await subscribed(server, 2);
  });

  test('orders of both at once: each is decided on what the other left, none is lost', async () => {
    await using server = await RedisServer.start();
    await using one = await agentWith({ redis: server.url });
    await using other = await agentWith({ redis: server.url });
    await until(() => one.live.isCurrent && other.live.isCurrent);
    const outcomes = await Promise.allSettled([
      one.live.set(anna, 'support', { rate: 0.1 }, 0),
      other.live.set(bruno, 'support', { rate: 0.3 }, 0),
      ...Array.from({ length: 5 }, (_, index) => one.live.setAgent(anna, `a${index}`, { protected: true })),
      ...Array.from({ length: 5 }, (_, index) =>
        other.live.setAgent(bruno, `b${index}`, { protected: true }),
      ),
    ]);
    expect(outcomes.slice(0, 2).filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(outcomes.slice(2).every(({ status }) => status === 'fulfilled')).toBe(true);
    await until(() => one.live.state.version === 11 && other.live.state.version === 11);
    expect(one.live.state).toEqual(other.live.state);
  });

  test('the end of a raise is one change, whoever looks', async () => {
    await using server = await RedisServer.start();
    const clock = new Clock();
    await using one = await agentWith({ redis: server.url, clock });
    await using other = await agentWith({ redis: server.url, clock });
    await until(() => one.live.isCurrent && other.live.isCurrent);
    await one.live.decide(bruno, await one.live.propose(anna, raise), true);
    await until(() => other.live.now(support).rate === 0.6);
    clock.pass(60);
    await Promise.all([one.live.look(), other.live.look()]);
    await until(() => one.live.state.version === 3 && other.live.state.version === 3);
    await one.live.tell();
    expect(one.entries.map(({ what }) => what)).toEqual([
      'raise.proposed',
      'raise.approved',
      'raise.expired',
    ]);
  });
});

describe('a Redis that fails', () => {
  test('who cannot know what others changed says so, and knows again when it is back', async () => {
    await using server = await RedisServer.start({ durable: true });
    await using one = await agentWith({ redis: server.url });
    await until(() => one.live.isCurrent);
    await one.live.stop(anna, { of: 'everything' });
    await server.kill();
    await until(() => !one.live.isCurrent);
    await expect(one.live.set(anna, 'support', { rate: 0.1 })).rejects.toThrow('cannot be kept');
    expect(one.live.stopOf('support')).toBeDefined();
    await server.restart();
    await until(() => one.live.isCurrent);
    await one.live.set(anna, 'support', { rate: 0.1 });
  });

  test('a server that comes back empty is told everything again, once, by whoever remembers', async () => {
    await using server = await RedisServer.start();
    await using one = await agentWith({ redis: server.url });
    await using other = await agentWith({ redis: server.url });
    await until(() => one.live.isCurrent && other.live.isCurrent);
    await one.live.set(anna, 'support', { rate: 0.1 });
    await one.live.stop(anna, { of: 'everything' });
    await until(() => other.live.state.version === 2);
    await server.kill();
    await until(() => !one.live.isCurrent && !other.live.isCurrent);
    await server.restart();
    await until(() => one.live.isCurrent && other.live.isCurrent);
    await using control = redis(server);
    expect(await control.client.llen(list)).toBe(2);
    expect(other.live.stopOf('support')).toBeDefined();
    expect(one.entries).toHaveLength(2);
  });

  test('where others went on without a lost change, theirs stands, and a lost stop holds all the same', async () => {
    await using server = await RedisServer.start();
    await using one = await agentWith({ redis: server.url, pollMs: byMessage });
    await until(() => one.live.isCurrent);
    await one.live.set(anna, 'support', { rate: 0.1 });
    await one.live.stop(anna, { of: 'everything' });
    await using control = redis(server);
    // A new master that lacks both, on which another agent has written already.
    await control.client.del(list);
    await using other = await agentWith({ redis: server.url, pollMs: byMessage });
    await until(() => other.live.isCurrent);
    await other.live.set(bruno, 'support', { rate: 0.05 });
    await one.log.catchUp();
    await other.log.catchUp();
    expect(one.live.state).toEqual(other.live.state);
    expect(other.live.now(support).rate).toBe(0.05);
    expect(other.live.stopOf('support')?.by).toBe('anna');
  });
});

function redis(server: RedisServer): AsyncDisposable & { client: Redis } {
  const client = new Redis(server.url);
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.quit();
    },
  };
}

/** Resolves when as many connections listen to the channel. */
async function subscribed(server: RedisServer, count: number): Promise<void> {
  await using control = redis(server);
  for (;;) {
    const [, listening] = (await control.client.pubsub('NUMSUB', 'tacet:{changes}:added')) as [
      string,
      number,
    ];
    if (listening === count) return;
    await after(5);
  }
}
