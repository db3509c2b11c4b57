/** From the configuration to what a connection needs: the files that it names are read here, once. */
import { readFile } from 'node:fs/promises';
import { messageOf, TacetError } from '../../config/errors.ts';
import type { Config } from '../../config/schema.ts';
import type { RedisPlace } from './redis-connection.ts';

/** A password or a certificate that the configuration names cannot be read. */
export class RedisFileUnreadable extends TacetError {
  readonly file: string;
  constructor(file: string, why: string) {
    super(`redis: ${file} cannot be read: ${why}`);
    this.file = file;
  }
}

/**
 * @param at resolves a path of the configuration
 * @throws RedisFileUnreadable
 */
export async function redisPlace(
  redis: NonNullable<Config['redis']>,
  at: (path: string) => string,
): Promise<RedisPlace & { timeoutMs: number; replicas: number }> {
  const read = async (path: string | undefined): Promise<string | undefined> => {
    if (path === undefined) return undefined;
    try {
      return await readFile(at(path), 'utf8');
    } catch (error) {
      throw new RedisFileUnreadable(at(path), messageOf(error));
    }
  };
  const { url, sentinels, master, cluster, username, tls, timeoutMs, replicas } = redis;
  const pem = {
    ca: await read(tls?.caFile),
    cert: await read(tls?.certFile),
    key: await read(tls?.keyFile),
    servername: tls?.serverName,
  };
  return {
    url,
    sentinels,
    master,
    cluster,
    username,
    password: (await read(redis.passwordFile))?.trim(),
    sentinelPassword: (await read(redis.sentinelPasswordFile))?.trim(),
    tls: tls === undefined ? undefined : present(pem),
    timeoutMs,
    replicas,
  };
}

/** Without the members that are not there. */
function present(pem: Record<keyof NonNullable<RedisPlace['tls']>, string | undefined>): RedisPlace['tls'] {
  return Object.fromEntries(Object.entries(pem).filter(([, value]) => value !== undefined));
}
