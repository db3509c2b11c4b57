/** Which of our addresses is nearest to a destination, by the networks that this machine is attached to. */
import { BlockList, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Address, Listener } from '../transport.ts';

/** A network that one of our addresses lies in. */
export interface Subnet {
  /** Ours. */
  address: string;
  prefix: number;
  has: (address: string) => boolean;
}

export function localSubnets(
  interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces(),
): Subnet[] {
  const subnets: Subnet[] = [];
  for (const { address, cidr } of Object.values(interfaces).flatMap((all) => all ?? [])) {
    const [network, prefix] = (cidr ?? '').split('/');
    if (network === undefined || prefix === undefined) continue;
    const block = new BlockList();
    const family = isIPv6(network) ? 'ipv6' : 'ipv4';
    block.addSubnet(network, Number(prefix), family);
    subnets.push({
      address,
      prefix: Number(prefix),
      has: (other) => (isIPv6(other) ? 'ipv6' : 'ipv4') === family && block.check(other, family),
    });
  }
  return subnets;
}

/** What is wanted besides the destination's transport and family. */
export interface Wanted {
  /** Only listeners of this name. */
  name?: string | undefined;
  /** This one, or one of its side, goes first: the listener that a dialog lives on. */
  like?: Listener | undefined;
}

/**
 * The listener to send from: of the destination's transport and family; then the dialog's own, one of its side, the one
 * whose network holds the destination (the longest prefix, loopback to loopback), the first in the configuration.
 *
 * @returns undefined where none could reach it
 */
export function listenerFor(
  listeners: readonly Listener[],
  to: Address,
  { name, like }: Wanted,
  subnets: readonly Subnet[],
): Listener | undefined {
  const family = isIPv6(to.address) ? 6 : 4;
  const fitting = listeners.filter(
    (one) =>
      one.transport === to.transport && one.family === family && (name === undefined || one.name === name),
  );
  let best: Listener | undefined;
  let highest = -1;
  for (const listener of fitting) {
    const score = nearness(listener, to, like, subnets);
    if (score > highest) {
      best = listener;
      highest = score;
    }
  }
  return best;
}

function nearness(
  listener: Listener,
  to: Address,
  like: Listener | undefined,
  subnets: readonly Subnet[],
): number {
  if (listener === like) return 3_000;
  // A loopback address and the network never reach each other, whatever the side is called.
  if (!isWildcard(listener.address) && isLoopback(listener.address) !== isLoopback(to.address)) return 0;
  let longest = 0;
  for (const { address, prefix, has } of subnets) {
    if (address !== listener.address && !isWildcard(listener.address)) continue;
    if (prefix > longest && has(to.address)) longest = prefix;
  }
  return (like?.name === listener.name ? 2_000 : 1_000) + longest;
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** A wildcard address is none that a peer could use: the first address of the machine stands in for it. */
export function reachable(address: string, family: 4 | 6): string {
  if (!isWildcard(address)) return address;
  const all = Object.values(networkInterfaces()).flatMap((interfaces) => interfaces ?? []);
  const outside = all.find((one) => !one.internal && one.family === `IPv${family}`);
  return outside?.address ?? (family === 6 ? '::1' : '127.0.0.1');
}
