import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { redisPlace } from '../../../agent/sampling/redis-place.ts';
import { openRedisSampler } from '../../../agent/sampling/redis.ts';
import type { Sampler } from '../../../agent/sampling/sampler.ts';
import { configSchema, type Config } from '../../../config/schema.ts';
import type { CallId, Rate } from '../../../config/units.ts';
import { freePort } from '../../peers/free-port.ts';
import { Program } from '../../peers/program.ts';
import { RedisServer } from '../../peers/redis.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';
import { uniform } from './contract.ts';

/** What the operators' page grants. */
const grants =
  '~tacet:* +evalsha +eval +get +set +setrange +hget +hset +hsetnx +expire +zadd +zrem +zrangebyscore +time +info +ping +wait';

async function reach(redis: unknown, folder: string): Promise<Sampler> {
  const place = configSchema.shape.redis.parse(redis) as NonNullable<Config['redis']>;
  const ready = Promise.withResolvers<undefined>();
  const sampler = openRedisSampler({
    ...(await redisPlace(place, (path) => join(folder, path))),
    timeoutMs: 5_000,
    uniform,
    onAvailability: (available) => {
      if (available) ready.resolve(undefined);
    },
  });
  await ready.promise;
  return sampler;
}

async function draw(sampler: Sampler): Promise<void> {
  const of = { name: randomUUID(), rate: 1 as Rate };
  const kept = await sampler.reserve(of, randomUUID() as CallId);
  expect(kept).toMatchObject({ selected: true, reason: 'quota' });
  await sampler.settle(kept, 'recorded');
  await sampler.settle(await sampler.reserve(of, randomUUID() as CallId), 'no-conversation');
  const rare = { name: randomUUID(), rate: 0.000_001 as Rate };
  for (let call = 0; call < 3; call += 1)
    expect(await sampler.reserve(rare, randomUUID() as CallId)).toMatchObject({ reason: 'quota' });
  expect(await sampler.counts(of.name)).toEqual({ eligible: 1, recorded: 1, open: 0 });
}

describe('where Redis is', () => {
  test('a server over TLS, for a user who may do no more than the page grants', async () => {
    await using folder = await temporaryFolder('redis-tls');
    const [key, certificate] = [join(folder.path, 'redis.key'), join(folder.path, 'redis.pem')];
    await promisify(execFile)('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost'],
    ]);
    await writeFile(join(folder.path, 'password'), 'a long secret\n');
    const port = await freePort();
    await using server = await RedisServer.start({
      args: [
        ...['--tls-port', `${port}`, '--tls-cert-file', certificate, '--tls-key-file', key],
        ...['--tls-ca-cert-file', certificate, '--tls-auth-clients', 'no'],
      ],
    });
    const admin = new Redis(server.url);
    await admin.call('ACL', 'SETUSER', 'agent', 'on', '>a long secret', ...grants.split(' '));
    admin.disconnect();
    await using sampler = await reach(
      {
        url: `rediss://localhost:${port}`,
        username: 'agent',
        passwordFile: 'password',
        tls: { caFile: 'redis.pem', serverName: 'localhost' },
      },
      folder.path,
    );
    await draw(sampler);
  });

  test('a cluster: all keys of a campaign in one slot', async () => {
    await using folder = await temporaryFolder('redis-cluster');
    const port = await freePort();
    await using node = await Program.start('redis-server', [
      ...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder.path, '--save', ''],
      ...[
        '--cluster-enabled',
        'yes',
        '--cluster-announce-ip',
        '127.0.0.1',
        '--cluster-port',
        `${await freePort()}`,
      ],
    ]);
    await node.printed(/Ready to accept connections/u);
    const admin = new Redis(port, '127.0.0.1');
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await node.printed(/Cluster state changed: ok/u);
    admin.disconnect();
    await using sampler = await reach({ cluster: [{ host: '127.0.0.1', port }] }, folder.path);
    await draw(sampler);
  });

  test.each([
    [{}, 'exactly one of url, sentinels, cluster'],
    [{ url: 'redis://a', cluster: [{ host: 'a' }] }, 'exactly one of url, sentinels, cluster'],
    [{ sentinels: [{ host: 'a' }] }, 'sentinels and master go together'],
    [{ cluster: [{ host: 'a' }], replicas: 1 }, 'min-replicas-to-write'],
  ])('%j is refused', (redis, why) => {
    const { error } = configSchema.shape.redis.safeParse(redis);
    expect(error?.message).toContain(why);
  });

  test('a password file that is not there is named', async () => {
    const place = configSchema.shape.redis.parse({ url: 'redis://a', passwordFile: 'nowhere' });
    await expect(redisPlace(place!, (path) => `/nonexistent/${path}`)).rejects.toThrow(
      '/nonexistent/nowhere',
    );
  });
});
