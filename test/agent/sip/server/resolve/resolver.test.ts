import { describe, expect, it } from 'vitest';
import { Resolver } from '../../../../../agent/sip/server/resolve.ts';
import type { CanSend } from '../../../../../agent/sip/server/resolve.ts';
import type { Answer, Dns, Records } from '../../../../../agent/sip/server/resolve/dns.ts';
import type { Address } from '../../../../../agent/sip/server/transport.ts';
import { FakeClock } from '../fake-clock.ts';

type Zone = Partial<{ [Type in keyof Records]: Record<string, Records[Type][]> }>;

/** A DNS of a few names; what it is asked is written down. */
function dnsOf(zone: Zone) {
  const asked: string[] = [];
  const state = { down: false, ttlMs: 60_000 };
  const dns: Dns = {
    query<Type extends keyof Records>(type: Type, name: string): Promise<Answer<Type>> {
      asked.push(`${type} ${name}`);
      if (state.down) return Promise.reject(new Error('queryA ETIMEOUT'));
      const records = zone[type]?.[name] ?? [];
      return Promise.resolve({ records, ttlMs: state.ttlMs });
    },
  };
  return { dns, asked, state };
}

const everything: CanSend = () => true;
const told = ({ transport, address, port, serverName }: Address): string =>
  `${transport} ${address} ${port}${serverName === undefined ? '' : ` ${serverName}`}`;

const srv = (name: string, port: number, priority = 1, weight = 0) => ({ name, port, priority, weight });

const carrier: Zone = {
  NAPTR: {
    'carrier.test': [
      { order: 20, preference: 1, flags: 's', service: 'SIP+D2U', replacement: '_sip._udp.carrier.test' },
      { order: 10, preference: 2, flags: 'S', service: 'SIP+D2T', replacement: '_sip._tcp.carrier.test' },
      { order: 10, preference: 1, flags: 's', service: 'SIPS+D2T', replacement: '_sips._tcp.carrier.test' },
      { order: 1, preference: 1, flags: 's', service: 'SIP+D2S', replacement: '_sip._sctp.carrier.test' },
    ],
  },
  SRV: {
    '_sip._udp.carrier.test': [srv('b.carrier.test', 5_070, 2), srv('a.carrier.test', 5_060, 1)],
    '_sip._tcp.carrier.test': [srv('a.carrier.test', 5_060)],
    '_sips._tcp.carrier.test': [srv('a.carrier.test', 5_061)],
    '_sip._udp.plain.test': [srv('a.carrier.test', 5_080)],
    '_sip._udp.closed.test': [srv('.', 0)],
  },
  A: {
    'a.carrier.test': ['192.0.2.1'],
    'b.carrier.test': ['192.0.2.2', '192.0.2.3'],
    'host.test': ['192.0.2.9'],
  },
  AAAA: { 'b.carrier.test': ['2001:db8::2'] },
};

describe('the way to a name', () => {
  it.each<[string, CanSend, string[]]>([
    ['sip:1@carrier.test', everything, ['tls 192.0.2.1 5061 carrier.test']],
    ['sip:1@carrier.test', (transport) => transport !== 'tls', ['tcp 192.0.2.1 5060']],
    [
      'sip:1@carrier.test',
      (transport, family) => transport === 'udp' && family !== 6,
      ['udp 192.0.2.1 5060', 'udp 192.0.2.2 5070', 'udp 192.0.2.3 5070'],
    ],
    [
      'sip:1@carrier.test;transport=udp',
      everything,
      ['udp 192.0.2.1 5060', 'udp 192.0.2.2 5070', 'udp 192.0.2.3 5070', 'udp 2001:db8::2 5070'],
    ],
    ['sips:1@carrier.test', everything, ['tls 192.0.2.1 5061 carrier.test']],
    ['sip:1@plain.test', everything, ['udp 192.0.2.1 5080']],
    ['sip:1@host.test', everything, ['udp 192.0.2.9 5060']],
    ['sip:1@host.test:5099', everything, ['udp 192.0.2.9 5099']],
    ['sip:1@host.test;transport=tls', everything, ['tls 192.0.2.9 5061 host.test']],
    ['sip:1@closed.test', everything, []],
    ['sip:1@nowhere.test', everything, []],
  ])('%s', async (uri, canSend, expected) => {
    const resolver = new Resolver(dnsOf(carrier).dns, new FakeClock(), canSend, () => 0);
    expect((await resolver.targets(uri)).map(told)).toEqual(expected);
  });

  it.each<[string, string]>([
    ['sip:1@192.0.2.1', 'udp 192.0.2.1 5060'],
    ['sip:1@192.0.2.1;transport=TCP', 'tcp 192.0.2.1 5060'],
    ['sips:1@192.0.2.1', 'tls 192.0.2.1 5061 192.0.2.1'],
    ['sip:1@[2001:db8::1]:5070;transport=tls', 'tls 2001:db8::1 5070 2001:db8::1'],
    ['sip:1@name.test;maddr=192.0.2.7', 'udp 192.0.2.7 5060'],
  ])('needs no DNS for %s', (uri, expected) => {
    const { dns, asked } = dnsOf(carrier);
    const literal = new Resolver(dns, new FakeClock(), everything).literal(uri);
    expect(literal && 'address' in literal && told(literal)).toBe(expected);
    expect(asked).toEqual([]);
  });

  it.each(['sip:1@192.0.2.1;transport=ws', 'sip:1@192.0.2.1;transport=tls', 'sips:1@192.0.2.1'])(
    'is none for %s where only UDP listens',
    (uri) => {
      const resolver = new Resolver(dnsOf({}).dns, new FakeClock(), (transport) => transport === 'udp');
      expect(resolver.literal(uri)).toEqual({ refused: 'requested protocol/transport not available' });
    },
  );

  it('is TCP for a URI that says nothing where TCP alone listens', () => {
    const resolver = new Resolver(dnsOf({}).dns, new FakeClock(), (transport) => transport === 'tcp');
    const literal = resolver.literal('sip:1@192.0.2.1');
    expect(literal && 'address' in literal && told(literal)).toBe('tcp 192.0.2.1 5060');
  });
});

describe('answers of the DNS', () => {
  it('are asked for once while they are good, also by two calls at once', async () => {
    const { dns, asked } = dnsOf(carrier);
    const clock = new FakeClock();
    const resolver = new Resolver(dns, clock, everything, () => 0);
    const ask = () => resolver.targets('sip:1@host.test:5060');
    await Promise.all([ask(), ask()]);
    await ask();
    expect(asked).toEqual(['A host.test', 'AAAA host.test']);
    clock.pass(60_001);
    await ask();
    expect(asked).toHaveLength(4);
  });

  it('stand in for a DNS that fails, for a day, and are counted', async () => {
    const { dns, state } = dnsOf(carrier);
    const clock = new FakeClock();
    const resolver = new Resolver(dns, clock, everything, () => 0);
    const ask = async () => (await resolver.targets('sip:1@host.test:5060')).map(told);
    expect(await ask()).toEqual(['udp 192.0.2.9 5060']);
    state.down = true;
    clock.pass(3_600_000);
    expect(await ask()).toEqual(['udp 192.0.2.9 5060']);
    expect(resolver.stale).toBe(2);
    clock.pass(86_400_000);
    expect(await ask()).toEqual([]);
  });

  it('stand in for a DNS that is silent, after a second', async () => {
    const { dns } = dnsOf(carrier);
    let silent = false;
    const clock = new FakeClock();
    const slow: Dns = {
      query: (type, name) => (silent ? new Promise(() => undefined) : dns.query(type, name)),
    };
    const resolver = new Resolver(slow, clock, everything);
    await resolver.targets('sip:1@host.test:5060');
    silent = true;
    clock.pass(61_000);
    const asking = resolver.targets('sip:1@host.test:5060');
    await Promise.resolve();
    clock.pass(1_000);
    expect((await asking).map(told)).toEqual(['udp 192.0.2.9 5060']);
    expect(clock.set).toBe(0);
  });
});

it('a target that failed is tried last, for a while', async () => {
  const clock = new FakeClock();
  const resolver = new Resolver(
    dnsOf(carrier).dns,
    clock,
    (transport, family) => transport === 'udp' && family !== 6,
  );
  const ask = async () => (await resolver.targets('sip:1@carrier.test')).map(({ address }) => address);
  resolver.blocklist.add({ transport: 'udp', address: '192.0.2.1', port: 5_060 }, 30_000);
  expect(await ask()).toEqual(['192.0.2.2', '192.0.2.3', '192.0.2.1']);
  clock.pass(30_000);
  expect(await ask()).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3']);
});
