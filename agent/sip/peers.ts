/** Trunks and PBXs: who may speak to us, and where their calls go. */
import { BlockList, isIPv6 } from 'node:net';
import type { Config, PeerConfig } from '../../config/schema.ts';

export interface Peer {
  name: string;
  kind: 'trunk' | 'pbx';
  uri: string;
  /** Where this peer's calls go, tried in order. */
  routes: Peer[];
}

export interface Peers {
  /** The peer that a datagram or request came from; undefined for a stranger, who gets silence. */
  at(source: { address: string; port: number }): Peer | undefined;
  all(): Peer[];
}

/** Compiles the configured peers. Overlapping sources: the first in the file wins, trunks before PBXs. */
export function openPeers(config: Pick<Config, 'trunks' | 'pbxs'>): Peers {
  const entries = [
    ...config.trunks.map((peer) => compile(peer, 'trunk')),
    ...config.pbxs.map((peer) => compile(peer, 'pbx')),
  ];
  const byName = new Map(entries.map((entry) => [entry.peer.name, entry.peer]));
  for (const { peer, config } of entries) {
    peer.routes = config.routes.flatMap((name) => byName.get(name) ?? []);
  }
  return {
    at(source) {
      return entries.find((entry) => entry.has(source))?.peer;
    },
    all() {
      return entries.map((entry) => entry.peer);
    },
  };
}

function compile(config: PeerConfig, kind: Peer['kind']) {
  const sources = new BlockList();
  for (const source of config.sources) {
    const [address, prefix] = source.split('/');
    const family = isIPv6(address!) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) sources.addAddress(address!, family);
    else sources.addSubnet(address!, Number(prefix), family);
  }
  const ports = config.ports === undefined ? undefined : new Set(config.ports);
  const peer: Peer = { name: config.name, kind, uri: config.uri, routes: [] };
  return {
    peer,
    config,
    has({ address, port }: { address: string; port: number }): boolean {
      return sources.check(address, isIPv6(address) ? 'ipv6' : 'ipv4') && (ports?.has(port) ?? true);
    },
  };
}
