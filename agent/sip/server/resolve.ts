/** From a URI to an address: literals at once, names by the system's resolver (A, AAAA; no NAPTR or SRV yet). */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { parseSipUri } from './uri.ts';
import type { Address } from './transport.ts';

export type Refusal = { refused: string };

/**
 * Where a request with this next hop goes.
 */
export function literalAddress(uri: string): Address | Refusal | undefined {
  const parsed = parseSipUri(uri);
  if (!parsed) return { refused: `invalid request-uri: ${uri}` };
  const transport = parsed.params.get('transport')?.toLowerCase();
  if (parsed.scheme === 'sips' || (transport !== undefined && transport !== 'udp')) {
    return { refused: 'requested protocol/transport not available' };
  }
  return isIP(parsed.host) === 0
    ? undefined
    : { transport: 'udp', address: parsed.host, port: parsed.port ?? 5_060 };
}

/** Asks the resolver for a name that is no literal; undefined when it has no address. */
export async function resolveName(uri: string): Promise<Address | undefined> {
  const parsed = parseSipUri(uri);
  if (!parsed) return undefined;
  try {
    const { address } = await lookup(parsed.host);
    return { transport: 'udp', address, port: parsed.port ?? 5_060 };
  } catch {
    // No such name, or no resolver: the caller makes up the 503 that RFC 3263 section 4.3 asks for.
    return undefined;
  }
}

/** Calls back at once where the address is known or a literal, later for a name. */
export function locate(
  known: Address | undefined,
  uri: string,
  then: (target: Address | undefined) => void,
): void {
  const address = known ?? literalAddress(uri);
  if (address && 'address' in address) {
    then(address);
    return;
  }
  if (address) {
    then(undefined);
    return;
  }
  void resolveName(uri).then(then);
}
