import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { partsPerMillion } from '../../../agent/sampling/gate.ts';
import { openRedisSampler, type RedisSamplerOptions } from '../../../agent/sampling/redis.ts';
import type { Reservation, Sampler } from '../../../agent/sampling/sampler.ts';
import type { CallId, Rate } from '../../../config/units.ts';
import { freePort } from '../../peers/free-port.ts';
import { Program } from '../../peers/program.ts';
import { RedisServer } from '../../peers/redis.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';
import { uniform } from './contract.ts';
import { Load } from './load.ts';

const newCall = (): CallId => randomUUID() as CallId;

class Agent implements AsyncDisposable {
  readonly sampler: Sampler;
  readonly ungranted = new Map<string, number>();
  readonly #changed = new EventTarget();

  constructor(options: Partial<RedisSamplerOptions>) {
    this.sampler = openRedisSampler({
      uniform,
      timeoutMs: 2_000,
      fenceMs: 300,
      closeMs: 100,
      ...options,
      onAvailability: () => this.#changed.dispatchEvent(new Event('change')),
      onUngranted: (why) => this.ungranted.set(why, (this.ungranted.get(why) ?? 0) + 1),
    });
  }

  async until(available: boolean): Promise<void> {
    while (this.sampler.available !== available) await once(this.#changed, 'change');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sampler[Symbol.asyncDispose]();
  }
}

/** What is really recorded, whatever Redis remembers. */
class Truth {
  recorded = 0;
  eligible = 0;
  allowed = 0;

  async converse(sampler: Sampler, campaign: { name: string; rate: Rate }): Promise<Reservation> {
    const draw = await sampler.reserve(campaign, newCall());
    this.eligible += 1;
    this.allowed += draw.ppm;
    if (draw.selected) this.recorded += 1;
    expect(this.recorded * partsPerMillion).toBeLessThanOrEqual(this.allowed + partsPerMillion);
    void sampler.settle(draw, draw.selected ? 'recorded' : 'not-recorded');
    return draw;
  }

  /** Until a selection is granted again. */
  async converseUntilSelected(sampler: Sampler, campaign: { name: string; rate: Rate }): Promise<void> {
    while (!(await this.converse(sampler, campaign)).selected) await new Promise(setImmediate);
  }
}

/** A way to Redis that can be led elsewhere, as a name or a virtual address is, and made slow. */
class Way implements AsyncDisposable {
  target: number;
  delayMs = 0;
  readonly #server = createServer((client) => this.#carry(client));
  readonly #sockets = new Set<Socket>();

  private constructor(target: number) {
    this.target = target;
  }

  static async to(target: number): Promise<Way> {
    const way = new Way(target);
    way.#server.listen(0, '127.0.0.1');
    await once(way.#server, 'listening');
    return way;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  lead(target: number): void {
    this.target = target;
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.lead(0);
    await once(this.#server, 'close');
  }

  #carry(client: Socket): void {
    const server = connect(this.target, '127.0.0.1');
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one);
      one.on('data', (bytes) => {
        if (this.delayMs === 0) other.write(bytes);
        else setTimeout(() => other.write(bytes), this.delayMs / 2);
      });
      one.on('error', () => undefined);
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }
}

const campaign = (rate: number): { name: string; rate: Rate } => ({ name: randomUUID(), rate: rate as Rate });

describe('a Redis that lost what it had granted', () => {
  test('everything: a server that comes back empty is told, and the ceiling holds', async () => {
    await using server = await RedisServer.start();
    await using one = new Agent({ url: server.url });
    await using two = new Agent({ url: server.url });
    await Promise.all([one.until(true), two.until(true)]);
    const [of, truth] = [campaign(0.3), new Truth()];
    for (let call = 0; call < 60; call += 1) await truth.converse((call % 3 === 0 ? one : two).sampler, of);
    const before = truth.recorded;
    await server.kill();
    await Promise.all([one.until(false), two.until(false)]);
    await server.restart();
    await Promise.all([one.until(true), two.until(true)]);
    for (let call = 0; call < 60; call += 1) await truth.converse((call % 2 === 0 ? one : two).sampler, of);
    await truth.converseUntilSelected(one.sampler, of);
    expect(truth.recorded).toBeGreaterThan(before);
    expect(one.ungranted.get('fenced') ?? two.ungranted.get('fenced')).toBeGreaterThan(0);
  });

  test('the last writes: a replica that lagged takes over, the agents charge their selections again', async () => {
    await using primary = await RedisServer.start();
    await using replica = await RedisServer.start({ args: ['--replicaof', '127.0.0.1', `${primary.port}`] });
    await using way = await Way.to(primary.port);
    await using one = new Agent({ url: way.url });
    await using two = new Agent({ url: way.url });
    await Promise.all([one.until(true), two.until(true)]);
    const [of, truth] = [campaign(1), new Truth()];
    for (let call = 0; call < 20; call += 1) await truth.converse(one.sampler, of);
    const admin = new Redis(replica.url);
    await admin.replicaof('127.0.0.1', '1');
    // Lost: each agent's selections of calls that nobody settled, which are being recorded all the same.
    const lost: Reservation[] = [];
    for (const { sampler } of [one, two, one, two]) {
      const draw = await sampler.reserve(of, newCall());
      expect(draw.selected).toBe(true);
      lost.push(draw);
    }
    await admin.replicaof('NO', 'ONE');
    admin.disconnect();
    way.lead(replica.port);
    await primary.kill();
    await Promise.all([one.until(false), two.until(false)]);
    await Promise.all([one.until(true), two.until(true)]);
    expect(await one.sampler.counts(of.name)).toMatchObject({ open: 4 });
    for (const draw of lost) await two.sampler.settle(draw, 'recorded');
    expect(await one.sampler.counts(of.name)).toMatchObject({ open: 0, recorded: truth.recorded + 4 });
  });

  test('a number that a failover lost comes again under another run, though nothing was granted in between', async () => {
    await using primary = await RedisServer.start();
    await using replica = await RedisServer.start({ args: ['--replicaof', '127.0.0.1', `${primary.port}`] });
    const of = campaign(0);
    const numbers: string[] = [];
    const draw = async (sampler: Sampler, calls: number): Promise<void> => {
      for (let call = 0; call < calls; call += 1) {
        const { run, sequence } = (await sampler.reserve(of, newCall())).draw!;
        numbers.push(`${run} ${sequence}`);
      }
    };
    await using before = new Agent({ url: primary.url });
    await before.until(true);
    await draw(before.sampler, 5);
    const admin = new Redis(replica.url);
    await admin.replicaof('127.0.0.1', '1');
    await draw(before.sampler, 5);
    await admin.replicaof('NO', 'ONE');
    admin.disconnect();
    // It knows nothing of the account, so it cannot tell the new server that something is missing.
    await using after = new Agent({ url: replica.url });
    await after.until(true);
    await draw(after.sampler, 5);
    expect(new Set(numbers).size).toBe(15);
  });

  test('with `replicas`, a selection that no replica has is not granted, and given back', async () => {
    await using server = await RedisServer.start();
    await using agent = new Agent({ url: server.url, replicas: 1, timeoutMs: 1_000 });
    await agent.until(true);
    const of = campaign(1);
    const draw = await agent.sampler.reserve(of, newCall());
    expect(draw).toMatchObject({ selected: false, reason: 'unavailable' });
    expect(agent.ungranted.get('unreplicated')).toBe(1);
    await agent.sampler.settle(draw, 'not-recorded');
    expect(await agent.sampler.counts(of.name)).toEqual({ eligible: 1, recorded: 0, open: 0 });
  });

  test('50 ms of network: calls go on unrecorded at their budget, and are counted once it is gone', async () => {
    await using server = await RedisServer.start();
    await using way = await Way.to(server.port);
    await using agent = new Agent({ url: way.url, timeoutMs: 20 });
    await agent.until(true);
    const [of, truth] = [campaign(1), new Truth()];
    way.delayMs = 50;
    for (let call = 0; call < 20; call += 1) await truth.converse(agent.sampler, of);
    expect(truth.recorded).toBe(0);
    expect(agent.ungranted.get('late')).toBeGreaterThan(0);
    way.delayMs = 0;
    way.lead(server.port);
    await agent.until(true);
    await truth.converseUntilSelected(agent.sampler, of);
  });
});

test.each([
  ['keeps what it wrote', true],
  ['has lost everything', false],
])('Redis killed with hundreds of draws in flight, back and %s: the ceiling holds', async (_, durable) => {
  await using server = await RedisServer.start({
    args: durable ? ['--appendonly', 'yes', '--appendfsync', 'everysec'] : [],
  });
  await using one = new Agent({ url: server.url });
  await using two = new Agent({ url: server.url });
  const agents = [one, two];
  await Promise.all(agents.map((agent) => agent.until(true)));
  const load = new Load(0.3);
  for (const { sampler } of agents) load.begin(sampler, 150);
  for (let kill = 0; kill < 3; kill += 1) {
    await load.draws(2_000);
    const drawn = load.drawn;
    await server.kill();
    await Promise.all(agents.map((agent) => agent.until(false)));
    // What was in flight was answered or passed, and nothing hangs.
    expect(load.drawn + load.undrawn).toBeGreaterThan(drawn);
    await server.restart();
    await Promise.all(agents.map((agent) => agent.until(true)));
    await load.selects();
  }
  await load.draws(1_000);
  await load.stop();
  load.expectCeiling();
  const { eligible, recorded } = load;
  expect(await one.sampler.counts(load.campaign.name)).toMatchObject({
    open: 0,
    ...(durable ? { eligible, recorded } : {}),
  });
});

describe('three sentinels', () => {
  test('name the new master after a kill under load: calls pass, the ceiling holds, drawing goes on', async () => {
    await using primary = await RedisServer.start();
    await using _replica = await RedisServer.start({ args: ['--replicaof', '127.0.0.1', `${primary.port}`] });
    await using folder = await temporaryFolder('sentinel');
    await using open = new AsyncDisposableStack();
    const sentinels: { host: string; port: number }[] = [];
    for (let index = 0; index < 3; index += 1) {
      const port = await freePort();
      const file = join(folder.path, `${port}.conf`);
      await writeFile(
        file,
        [
          `port ${port}`,
          'bind 127.0.0.1',
          `dir ${folder.path}`,
          `sentinel monitor counts 127.0.0.1 ${primary.port} 2`,
          'sentinel down-after-milliseconds counts 500',
          'sentinel failover-timeout counts 2000',
          '',
        ].join('\n'),
      );
      const sentinel = open.use(await Program.start('redis-server', [file, '--sentinel']));
      await sentinel.printed(/\+monitor master counts/u);
      sentinels.push({ host: '127.0.0.1', port });
    }
    const admin = new Redis(sentinels[0]!);
    open.defer(() => admin.disconnect());
    const known = async (): Promise<boolean> => {
      const facts = (await admin.call('SENTINEL', 'MASTER', 'counts')) as string[];
      const of = (name: string): number => Number(facts[facts.indexOf(name) + 1]);
      return of('num-slaves') >= 1 && of('num-other-sentinels') >= 2;
    };
    while (!(await known())) await new Promise((resolve) => setTimeout(resolve, 50));

    await using one = new Agent({ sentinels, master: 'counts', hungMs: 500 });
    await using two = new Agent({ sentinels, master: 'counts', hungMs: 500 });
    await Promise.all([one.until(true), two.until(true)]);
    const [of, truth] = [campaign(0.5), new Truth()];
    for (let call = 0; call < 50; call += 1) await truth.converse((call % 2 === 0 ? one : two).sampler, of);
    const load = new Load(0.3);
    for (const { sampler } of [one, two]) load.begin(sampler, 100);
    await load.draws(2_000);
    await primary.kill();
    await Promise.all([one.until(false), two.until(false)]);
    for (let call = 0; call < 20; call += 1) {
      expect((await truth.converse(one.sampler, of)).reason).toBe('unavailable');
    }
    await Promise.all([one.until(true), two.until(true)]);
    await Promise.all([
      truth.converseUntilSelected(one.sampler, of),
      truth.converseUntilSelected(two.sampler, of),
    ]);
    expect(one.ungranted.get('unreachable')).toBeGreaterThan(0);
    await load.selects();
    await load.stop();
    load.expectCeiling();
    expect(await one.sampler.counts(load.campaign.name)).toMatchObject({ open: 0 });
  });
});
