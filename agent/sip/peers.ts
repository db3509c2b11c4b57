/** Trunks and PBXs: who may speak to us, and where their calls go. */
import { readFile } from 'node:fs/promises';
import { BlockList, isIPv6 } from 'node:net';
import type { Config, PeerConfig } from '../../config/schema.ts';
import { messageOf, TacetError } from '../../config/errors.ts';
import type { Credentials } from './digest.ts';
import { headerFilter, type HeaderFilter } from './headers.ts';
import { hostPortOf } from './peer-uri.ts';
import type { Group, Route } from './route.ts';

export interface Peer {
  name: string;
  kind: 'trunk' | 'pbx';
  uri: string;
  /** The listener that its calls leave from; undefined leaves it to the routing table. */
  listener: string | undefined;
  /** Whether it may know, and is believed, who calls (RFC 3325). */
  trusted: boolean;
  /** Where this peer's calls go, tried in order. */
  routes: Route;
  /** Whether a header (lower case) may be sent to this peer. */
  passes: HeaderFilter;
  health: PeerConfig['health'];
  redirects: PeerConfig['redirects'];
  srtp: PeerConfig['srtp'];
  /** Its telephones show whether a call is recorded (RFC 7866). */
  recordAware: boolean;
  maxCalls: number | undefined;
  maxCallsPerSecond: number | undefined;
  /** What we answer its challenges with. */
  credentials: Credentials | undefined;
}

/** Where a request came from. */
export interface Source {
  address: string;
  port: number;
  /** As SIP names it, in any case. */
  transport: string;
}

export interface Peers {
  /**
   * The peer that a datagram or request came from; undefined for a stranger, who gets silence. Over a stream the port is
   * most often one for this connection alone: it tells two peers of one address apart where it fits, and excludes none.
   */
  at(source: Source): Peer | undefined;
  all(): Peer[];
  /** The peer whose configured URI has this host and port: where a redirection may lead. */
  byUri(uri: string): Peer | undefined;
  /** Where emergency calls of a peer go. */
  emergencyRoute(from: Peer): Route;
}

type SiteConfig = Pick<Config, 'trunks' | 'pbxs' | 'groups' | 'routing'>;

/** The file that holds a peer's password cannot be read. */
export class CredentialsMissing extends TacetError {}

/**
 * Reads the passwords that stand in files of their own.
 *
 * @param at resolves a path of the configuration
 * @throws CredentialsMissing
 */
export async function readCredentials(
  config: Pick<Config, 'trunks' | 'pbxs'>,
  at: (path: string) => string,
): Promise<Map<string, Credentials>> {
  const found = new Map<string, Credentials>();
  for (const { name, auth } of [...config.trunks, ...config.pbxs]) {
    if (auth === undefined) continue;
    const { username, realm, passwordFile } = auth;
    try {
      const password = auth.password ?? (await readFile(at(passwordFile ?? ''), 'utf8')).trimEnd();
      found.set(name, { username, password, realm });
    } catch (error) {
      throw new CredentialsMissing(`the password of peer ${name} cannot be read: ${messageOf(error)}`);
    }
  }
  return found;
}

/** Compiles the configured peers. Overlapping sources: the first in the file wins, trunks before PBXs. */
export function openPeers(
  config: SiteConfig,
  credentials: ReadonlyMap<string, Credentials> = new Map(),
): Peers {
  const entries = [
    ...config.trunks.map((peer) => compile(peer, 'trunk', config, credentials)),
    ...config.pbxs.map((peer) => compile(peer, 'pbx', config, credentials)),
  ];
  const byName = new Map<string, Peer | Group>(entries.map(({ peer }) => [peer.name, peer]));
  for (const { name, members } of config.groups) {
    byName.set(name, {
      name,
      members: members.flatMap(({ peer, ...order }) => {
        const found = entries.find((entry) => entry.peer.name === peer);
        return found === undefined ? [] : [{ peer: found.peer, ...order }];
      }),
    });
  }
  const routeOf = (names: readonly string[]): Route => names.flatMap((name) => byName.get(name) ?? []);
  for (const { peer, config } of entries) peer.routes = routeOf(config.routes);
  const emergency = routeOf(config.routing.emergency.routes);
  /** Of addresses that somebody sent from: each request of a call asks, and comparing networks is slow. */
  const known = new Map<string, typeof entries>();
  const at = (address: string): typeof entries => {
    const remembered = known.get(address);
    if (remembered !== undefined) return remembered;
    const there = entries.filter((entry) => entry.has(address));
    // Strangers choose their addresses: they are not remembered, and telephones within a wide network not without end.
    if (there.length > 0 && known.size < 1_024) known.set(address, there);
    return there;
  };
  return {
    at(source) {
      const there = at(source.address);
      const exact = there.find((entry) => entry.sendsFrom(source.port));
      return (exact ?? (source.transport.toLowerCase() === 'udp' ? undefined : there[0]))?.peer;
    },
    all() {
      return entries.map((entry) => entry.peer);
    },
    byUri(uri) {
      const wanted = hostPortOf(uri);
      return entries.find(({ peer }) => wanted !== undefined && hostPortOf(peer.uri) === wanted)?.peer;
    },
    emergencyRoute(from) {
      return emergency.length > 0 ? emergency : from.routes;
    },
  };
}

function compile(
  config: PeerConfig,
  kind: Peer['kind'],
  { routing }: SiteConfig,
  credentials: ReadonlyMap<string, Credentials>,
) {
  const sources = new BlockList();
  for (const source of config.sources) {
    const [address, prefix] = source.split('/');
    const family = isIPv6(address!) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) sources.addAddress(address!, family);
    else sources.addSubnet(address!, Number(prefix), family);
  }
  const ports = config.ports === undefined ? undefined : new Set(config.ports);
  const { name, uri, listener, trusted, health, redirects, srtp, recordAware, maxCalls, maxCallsPerSecond } =
    config;
  const peer: Peer = {
    name,
    kind,
    uri,
    listener,
    trusted,
    routes: [],
    passes: headerFilter(routing.headers, config.headers),
    health,
    redirects,
    srtp,
    recordAware,
    maxCalls,
    maxCallsPerSecond,
    credentials: credentials.get(name),
  };
  return {
    peer,
    config,
    has: (address: string): boolean => sources.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'),
    sendsFrom: (port: number): boolean => ports?.has(port) ?? true,
  };
}
