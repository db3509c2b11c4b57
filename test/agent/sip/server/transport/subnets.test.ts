import { expect, it } from 'vitest';
import type { Address, Listener, Transport } from '../../../../../agent/sip/server/transport.ts';
import { listenerFor, localSubnets } from '../../../../../agent/sip/server/transport/subnets.ts';

function listener(name: string, transport: Transport, address: string): Listener {
  return {
    name,
    transport,
    family: address.includes(':') ? 6 : 4,
    address,
    host: address,
    port: 5_060,
    connections: 0,
    send: () => undefined,
    reaches: () => true,
    probe: () => ({ close: () => undefined }),
    suspect: () => undefined,
    close: () => Promise.resolve(),
  };
}

const outside = listener('outside', 'udp', '203.0.113.5');
const inside = listener('inside', 'udp', '10.1.2.5');
const insideTcp = listener('inside', 'tcp', '10.1.2.5');
const outsideTcp = listener('outside', 'tcp', '203.0.113.5');
const sixth = listener('inside', 'udp', '2001:db8::5');
const loopback = listener('bench', 'udp', '127.0.0.1');
const all = [outside, inside, outsideTcp, insideTcp, sixth, loopback];

const one = (address: string, cidr: string) => ({
  address,
  cidr,
  netmask: '',
  mac: '',
  internal: false,
  family: 'IPv4' as const,
});
const subnets = localSubnets({
  eth0: [one('203.0.113.5', '203.0.113.5/24')],
  eth1: [one('10.1.2.5', '10.1.2.5/16')],
  lo: [one('127.0.0.1', '127.0.0.1/8')],
});

const to = (address: string, transport: Transport = 'udp'): Address => ({ transport, address, port: 5_060 });

it.each<[string, Address, { name?: string; like?: Listener }, Listener | undefined]>([
  ['a neighbour inside', to('10.1.9.9'), {}, inside],
  ['a neighbour outside', to('203.0.113.77'), {}, outside],
  ['far away: the first in the configuration', to('198.51.100.1'), {}, outside],
  ['far away, on the side that is named', to('198.51.100.1'), { name: 'inside' }, inside],
  ['far away, on the side of the dialog, by TCP', to('198.51.100.1', 'tcp'), { like: inside }, insideTcp],
  ['the dialog keeps its listener', to('10.1.9.9'), { like: outside }, outside],
  ['loopback', to('127.0.0.1'), {}, loopback],

  ['IPv6', to('2001:db8::9'), {}, sixth],
  ['no such transport', to('10.1.9.9', 'tls'), {}, undefined],
  ['no such side', to('10.1.9.9'), { name: 'nowhere' }, undefined],
])('%s', (_what, target, wanted, expected) => {
  expect(listenerFor(all, target, wanted, subnets)).toBe(expected);
});
