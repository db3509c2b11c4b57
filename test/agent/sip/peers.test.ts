import { describe, expect, test } from 'vitest';
import { configSchema } from '../../../config/schema.ts';
import { openPeers } from '../../../agent/sip/peers.ts';
import { hostPortOf, uriTo, userOf, wayTo } from '../../../agent/sip/peer-uri.ts';

const peers = openPeers(
  configSchema.parse({
    campaigns: 'campaigns.yaml',
    trunks: [
      {
        name: 'carrier',
        sources: ['192.0.2.10', '198.51.100.0/24'],
        uri: 'sip:192.0.2.10:5060',
        routes: ['pbx-a', 'pbx-b'],
      },
      { name: 'carrier-six', sources: ['2001:db8::/32'], uri: 'sip:[2001:db8::1]', routes: [] },
    ],
    pbxs: [
      { name: 'pbx-a', sources: ['10.0.0.5'], ports: [5080], uri: 'sip:10.0.0.5:5080', routes: ['carrier'] },
      { name: 'pbx-b', sources: ['10.0.0.5'], ports: [5090], uri: 'sip:10.0.0.5:5090', routes: ['carrier'] },
    ],
  }),
);

test.each([
  ['192.0.2.10', 5060, 'carrier'],
  ['198.51.100.77', 40_000, 'carrier'],
  ['2001:db8:1::9', 5060, 'carrier-six'],
  ['10.0.0.5', 5080, 'pbx-a'],
  ['10.0.0.5', 5090, 'pbx-b'],
  ['10.0.0.5', 5070, undefined],
  ['192.0.2.11', 5060, undefined],
  ['198.51.101.1', 5060, undefined],
  ['::1', 5060, undefined],
])('a packet from %s port %i comes from %s', (address, port, name) => {
  expect(peers.at({ address, port, transport: 'udp' })?.name).toBe(name);
});

test.each([
  ['10.0.0.5', 5090, 'pbx-b'],
  ['10.0.0.5', 49_152, 'pbx-a'],
  ['10.0.0.6', 5080, undefined],
])('a connection from %s port %i is from %s: it may have any port', (address, port, name) => {
  expect(peers.at({ address, port, transport: 'tls' })?.name).toBe(name);
  expect(peers.at({ address, port, transport: 'TCP' })?.name).toBe(name);
});

test('routes keep the order in which they are tried', () => {
  expect(
    peers.at({ address: '192.0.2.10', port: 5060, transport: 'udp' })?.routes.map((peer) => peer.name),
  ).toEqual(['pbx-a', 'pbx-b']);
});

describe('URIs', () => {
  test.each([
    ['sip:192.0.2.1:5060', '+33123', 'sip:+33123@192.0.2.1:5060'],
    ['sip:pbx.example;transport=tcp', '200', 'sip:200@pbx.example;transport=tcp'],
    ['sip:gateway@192.0.2.1', '200', 'sip:200@192.0.2.1'],
    ['sip:192.0.2.1', '', 'sip:192.0.2.1'],
  ])('%s called as "%s" is %s', (uri, called, expected) => {
    expect(uriTo({ uri }, called)).toBe(expected);
  });

  test('a listener is named on the next hop, which is not on the wire', () => {
    expect(wayTo({ uri: 'sip:gateway@192.0.2.1:5070;transport=tcp', listener: 'outside' })).toEqual({
      proxy: 'sip:192.0.2.1:5070;transport=tcp;listener=outside',
    });
    expect(wayTo({ uri: 'sip:192.0.2.1', listener: undefined })).toEqual({});
  });

  test.each([
    ['sip:+33123@192.0.2.1', '+33123'],
    ['sip:200;phone-context=site@192.0.2.1:5060', '200'],
    ['sip:alice:secret@192.0.2.1', 'alice'],
    ['tel:+33123;ext=4', '+33123'],
    ['sip:192.0.2.1', undefined],
    ['nonsense', undefined],
  ])('the user of %s is %s', (uri, user) => {
    expect(userOf(uri)).toBe(user);
  });

  test.each([
    ['sip:192.0.2.1', '192.0.2.1:5060'],
    ['sips:PBX.example;transport=tls', 'pbx.example:5061'],
    ['sip:200;npdi@[2001:db8::1]:5070?x=y', '[2001:db8::1]:5070'],
    ['tel:+33123', undefined],
    ['sip:@', undefined],
  ])('host and port of %s are %s', (uri, expected) => {
    expect(hostPortOf(uri)).toBe(expected);
  });
});
