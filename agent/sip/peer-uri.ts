/** URIs of peers and of who is called: their parts, and how they are put together again. */
import type { Peer } from './peers.ts';

/** The user part of a SIP or tel URI, undecorated; undefined when there is none. */
export function userOf(uri: string): string | undefined {
  return wholeUserOf(uri)?.split(/[;:]/u)[0];
}

/** The same with its parameters (`+33123;npdi;rn=+3312`), which number portability and billing read. */
export function wholeUserOf(uri: string): string | undefined {
  const scheme = uri.indexOf(':');
  const at = uri.indexOf('@');
  if (scheme < 0) return undefined;
  if (at < 0) return uri.startsWith('tel:') ? uri.slice(4) : undefined;
  return uri.slice(scheme + 1, at);
}

/** A peer's URI with the called user part in it: `sip:192.0.2.1:5060` and `200` give `sip:200@192.0.2.1:5060`. */
export function uriTo({ uri }: Pick<Peer, 'uri'>, called: string): string {
  const colon = uri.indexOf(':');
  const rest = userOf(uri) === undefined ? uri.slice(colon + 1) : uri.slice(uri.indexOf('@') + 1);
  return `${uri.slice(0, colon)}:${called === '' ? '' : `${called}@`}${rest}`;
}

/** Where the SIP server sends a request to a peer, if not where its Request-URI says: from the listener of its side. */
export function wayTo(peer: Pick<Peer, 'uri' | 'listener'>): { proxy?: string } {
  return peer.listener === undefined ? {} : { proxy: `${uriTo(peer, '')};listener=${peer.listener}` };
}

/** Host (lower case) and port of a SIP URI, the port as its scheme has it when none is written. */
export function hostPortOf(uri: string): string | undefined {
  const match = /^(sips?):(?:[^@]*@)?(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(\d{1,5}))?(?:[;?]|$)/u.exec(
    uri.slice(0, 512).toLowerCase(),
  );
  if (match === null) return undefined;
  const [, scheme, host, port] = match;
  return `${host}:${port ?? (scheme === 'sips' ? 5061 : 5060)}`;
}
