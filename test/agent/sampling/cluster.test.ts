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

test('a master of a cluster is killed under load: calls pass, the ceiling holds, all are drawn again', async () => {
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

  const agents = [1, 2].map(() =>
    open.use(
      openRedisSampler({
        cluster: nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
        uniform,
        timeoutMs: 500,
        fenceMs: 300,
        hungMs: 1_000,
        closeMs: 100,
      }),
    ),
  );
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
