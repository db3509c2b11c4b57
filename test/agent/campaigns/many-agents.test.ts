import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { RedisServer } from '../../peers/redis.ts';
import { agentWith, anna } from './live-for-tests.ts';

const program = new URL('agent-process.ts', import.meta.url).pathname;

interface Known {
  rate: number;
  at: number;
}

test('a change of rate reaches every agent, each a process of its own, in the order of the changes', async ({
  annotate,
}) => {
  await using server = await RedisServer.start();
  const control = new Redis(server.url);
  const agents = Array.from({ length: 4 }, () => {
    const child = fork(program, [server.url]);
    const told: Known[] = [];
    child.on('message', (message) => told.push(message as Known));
    return { child, told };
  });
  const everybodyKnows = (count: number): Promise<void> =>
    expect.poll(() => agents.every(({ told }) => told.length === count), { timeout: 20_000 }).toBe(true);
  try {
    await everybodyKnows(1);
    await using supervisor = await agentWith({ redis: server.url });
    await expect.poll(() => supervisor.live.isCurrent).toBe(true);
    // Until all have subscribed, a change is news to some by their first reading.
    await expect
      .poll(() => control.pubsub('NUMSUB', 'tacet:{changes}:added'), { timeout: 20_000 })
      .toEqual(['tacet:{changes}:added', 5]);
    const rates = Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? 0.1 : 0.2));
    const waits: number[] = [];
    for (const [index, rate] of rates.entries()) {
      const begun = Date.now();
      await supervisor.live.set(anna, 'support', { rate });
      await everybodyKnows(index + 2);
      waits.push(...agents.map(({ told }) => told.at(-1)!.at - begun));
    }
    for (const { told } of agents) expect(told.map(({ rate }) => rate)).toEqual([0.2, ...rates]);
    await annotate(`slowest of ${waits.length}: ${Math.max(...waits)} ms`);
  } finally {
    control.disconnect();
    await Promise.all(
      agents.map(async ({ child }) => {
        const gone = once(child, 'exit');
        if (child.connected) child.disconnect();
        else child.kill();
        await gone;
      }),
    );
  }
}, 60_000);
