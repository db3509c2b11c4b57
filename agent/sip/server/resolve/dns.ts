/** What RFC 3263 asks of the DNS, and the DNS that Node asks. */
import { Resolver, lookup } from 'node:dns/promises';

export interface NaptrRecord {
  order: number;
  preference: number;
  flags: string;
  service: string;
  replacement: string;
}

export interface SrvRecord {
  priority: number;
  weight: number;
  port: number;
  name: string;
}

export interface Records {
  NAPTR: NaptrRecord;
  SRV: SrvRecord;
  A: string;
  AAAA: string;
}

/** No record: the name, or the type at that name, is not there. */
export interface Answer<Type extends keyof Records = keyof Records> {
  records: Records[Type][];
  /** How long it may be used. */
  ttlMs: number;
}

export interface Dns {
  /** @throws what the resolver says when the DNS could not be asked, or did not know */
  query<Type extends keyof Records>(type: Type, name: string): Promise<Answer<Type>>;
}

/** Node tells the TTL of addresses only; for the others a minute, the least that carriers use. */
const untoldMs = 60_000;
const negativeMs = 30_000;
/** A record that says "for a week" may still be wrong after an hour; one that says "0" holds for one call. */
const longestMs = 3_600_000;
const shortestMs = 1_000;

/**
 * The DNS by its own protocol (c-ares). Without servers of its own it is the system's, and a name that the DNS does not
 * have, or cannot be asked for, is looked up as every other program does it: hosts file and all.
 *
 * @param servers `address` or `address:port`; left out: those of the system
 */
export function nodeDns(servers?: readonly string[]): Dns {
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  if (servers) resolver.setServers([...servers]);
  const system = servers === undefined;
  const ask = async (type: keyof Records, name: string): Promise<Answer> => {
    switch (type) {
      case 'NAPTR':
        return { records: await resolver.resolveNaptr(name), ttlMs: untoldMs };
      case 'SRV':
        return { records: await resolver.resolveSrv(name), ttlMs: untoldMs };
      case 'A':
        return addresses(await resolver.resolve4(name, { ttl: true }));
      case 'AAAA':
        return addresses(await resolver.resolve6(name, { ttl: true }));
    }
  };
  return {
    async query<Type extends keyof Records>(type: Type, name: string) {
      try {
        return (await ask(type, name)) as Answer<Type>;
      } catch (error) {
        const found = system && (type === 'A' || type === 'AAAA') ? await inHosts(type, name) : [];
        if (found.length > 0) return { records: found as Records[Type][], ttlMs: untoldMs };
        if (isAbsence(error)) return { records: [], ttlMs: negativeMs };
        throw error;
      }
    },
  };
}

function addresses(found: readonly { address: string; ttl: number }[]): Answer<'A'> {
  const ttlMs = Math.min(...found.map(({ ttl }) => ttl * 1_000), longestMs);
  return { records: found.map(({ address }) => address), ttlMs: Math.max(ttlMs, shortestMs) };
}

async function inHosts(type: 'A' | 'AAAA', name: string): Promise<string[]> {
  try {
    const found = await lookup(name, { all: true, family: type === 'A' ? 4 : 6 });
    return found.map(({ address }) => address);
  } catch {
    // The error of the DNS says more.
    return [];
  }
}

function isAbsence(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENODATA' || code === 'ENOTFOUND';
}
