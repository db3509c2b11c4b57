/** Three masters with a replica each, real: one is killed while calls are drawn by two agents from all three. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { partsPerMillion } from '../../../agent/sampling/gate.ts';
import { openRedisSampler } from '../../../agent/sampling/redis.ts';
import type { Sampler } from '../../../agent/sampling/sampler.ts';
import type { CallId, Rate } from '../../../config/units.ts';
import { freePort } from '../../peers/free-port.ts';
import { RedisServer } from '../../peers/redis.ts';
import { uniform } from './contract.ts';
import { Load } from './load.ts';

const masters = 3;

async function startNode(): Promise<RedisServer> {
  const cluster = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000'];
  const place = ['--cluster-announce-ip', '127.0.0.1', '--cluster-port', `${await freePort()}`];
  return RedisServer.start({ args: [...cluster, ...place, '--cluster-replica-validity-factor', '0'] });
}

/** One campaign's calls, with what is really recorded of them, whatever Redis remembers. */
class Campaign {
  readonly name = randomUUID();
  recorded = 0;
  allowed = 0;

  async converse(sampler: Sampler): Promise<boolean> {
    const draw = await sampler.reserve({ name: this.name, rate: 0.5 as Rate }, randomUUID() as CallId);
    this.allowed += draw.ppm;
    if (draw.selected) this.recorded += 1;
    expect(this.recorded * partsPerMillion).toBeLessThanOrEqual(this.allowed + partsPerMillion);
    void sampler.settle(draw, draw.selected ? 'recorded' : 'not-recorded');
    return draw.selected;
  }
}

interface TestCluster extends AsyncDisposable {
  nodes: readonly RedisServer[];
  agents: readonly Sampler[];
  admin: Redis;
  ownerOf: (campaign: string) => Promise<number>;
}

/** Three masters, a replica each, and two agents that draw from them. */
async function startCluster(): Promise<TestCluster> {
  await using open = new AsyncDisposableStack();
  const nodes: RedisServer[] = [];
  for (let node = 0; node < 2 * masters; node += 1) nodes.push(open.use(await startNode()));
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const create = ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes'];
  await promisify(execFile)('redis-cli', create);
  const admin = new Redis(nodes[0]!.url);
  open.defer(() => admin.disconnect());
  const ownerOf = async (name: string): Promise<number> => {
    const slot = await admin.cluster('KEYSLOT', `tacet:{${name}}:2026-01-01`);
    const ranges = await admin.cluster('SLOTS');
    return ranges.find(([from, to]) => from <= slot && slot <= to)![2]![1];
  };

  const ready = [1, 2].map(() => Promise.withResolvers<undefined>());
  const agents = ready.map(({ resolve }) =>
    open.use(
      openRedisSampler({
        cluster: nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
        uniform,
        timeoutMs: 500,
        fenceMs: 300,
        hungMs: 1_000,
        closeMs: 100,
        onAvailability: () => resolve(undefined),
      }),
    ),
  );
  await Promise.all(ready.map(({ promise }) => promise));
  const held = open.move();
  return { nodes, agents, admin, ownerOf, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

test('a master of a cluster is killed under load: calls pass, the ceiling holds, all are drawn again', async () => {
  await using cluster = await startCluster();
  const { nodes, agents, ownerOf } = cluster;
  const untilSelected = async (campaign: Campaign): Promise<void> => {
    for (let turn = 0; ; turn += 1) {
      if (await campaign.converse(agents[turn % 2]!)) return;
      await new Promise(setImmediate);
    }
  };

  // A campaign for each master.
  const byOwner = new Map<number, Campaign>();
  while (byOwner.size < masters) {
    const campaign = new Campaign();
    const owner = await ownerOf(campaign.name);
    if (!byOwner.has(owner)) byOwner.set(owner, campaign);
  }
  const campaigns = [...byOwner.values()];
  for (const campaign of campaigns) await untilSelected(campaign);
  for (let call = 0; call < 90; call += 1) await campaigns[call % 3]!.converse(agents[call % 2]!);

  // The admin's own node stays: it is asked later on.
  const [killed, orphan] = [...byOwner].find(([port]) => port !== nodes[0]!.port)!;
  await nodes.find(({ port }) => port === killed)!.kill();
  for (let call = 0; call < 60; call += 1) await campaigns[call % 3]!.converse(agents[call % 2]!);
  for (const campaign of campaigns) await untilSelected(campaign);
  // The others hear of it by gossip.
  await expect.poll(() => ownerOf(orphan.name), { timeout: 10_000 }).not.toBe(killed);
});

/** Keys of a campaign, in the order in which they are moved together. */
type Order = (keys: readonly string[]) => string[][];
const oneByOne = (keys: readonly string[]): string[][] => keys.map((key) => [key]);
const byLength = (keys: readonly string[]): string[] => keys.toSorted((a, b) => a.length - b.length);

test.each<[what: string, order: Order]>([
  ["all at once, as the server's own tool does it", (keys) => [[...keys]]],
  ['the account first', (keys) => oneByOne(byLength(keys))],
  ['the account last', (keys) => oneByOne(byLength(keys).reverse())],
])(
  'a slot is moved to another master under load, %s: the ceiling holds, drawing goes on',
  async (_, order) => {
    await using cluster = await startCluster();
    const { nodes, agents, admin, ownerOf } = cluster;
    const load = new Load(0.3);
    const { name } = load.campaign;
    for (const agent of agents) load.begin(agent, 30);
    await load.draws(500);

    const owner = await ownerOf(name);
    const masters = (await admin.cluster('SLOTS')).map(([, , master]) => master?.[1]);
    const nodeAt = (is: (port: number) => boolean) => nodes.find(({ port }) => is(port))!;
    const [from, to] = [
      nodeAt((port) => port === owner),
      nodeAt((port) => port !== owner && masters.includes(port)),
    ];
    await using clients = new AsyncDisposableStack();
    const [source, target] = [from, to].map(({ url }) => {
      const client = new Redis(url);
      clients.defer(() => client.disconnect());
      return client;
    }) as [Redis, Redis];
    const slot = await admin.cluster('KEYSLOT', `{${name}}`);
    await target.cluster('SETSLOT', slot, 'IMPORTING', await source.cluster('MYID'));
    await source.cluster('SETSLOT', slot, 'MIGRATING', await target.cluster('MYID'));
    for (const keys of order(await source.cluster('GETKEYSINSLOT', slot, 100))) {
      await source.migrate('127.0.0.1', to.port, '', 0, 2_000, 'REPLACE', 'KEYS', ...keys);
      await load.conversations(200);
    }
    const owners = await target.cluster('MYID');
    for (const client of [target, source]) await client.cluster('SETSLOT', slot, 'NODE', owners);
    await load.selects();
    await load.draws(500);
    await load.stop();
    load.expectCeiling();
    await expect.poll(() => ownerOf(name), { timeout: 10_000 }).toBe(to.port);
    expect((await agents[0]!.counts(name))!.open).toBeGreaterThanOrEqual(0);
  },
);
