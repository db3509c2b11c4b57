import { expect, test } from 'vitest';
import { diversionReason, redirectTargets } from '../../../agent/sip/redirect.ts';
import { hostPortOf } from '../../../agent/sip/peer-uri.ts';
import { peerNamed } from './peer.ts';

const a = peerNamed('a');
const b = peerNamed('b');
const trunk = peerNamed('carrier', { kind: 'trunk' });
const byUri = (uri: string) => [a, b, trunk].find((peer) => hostPortOf(peer.uri) === hostPortOf(uri));
const targets = (contact: string | undefined) =>
  redirectTargets(contact, { to: a, called: '200' }, { byUri }, diversionReason(302)).map(
    ({ to, called }) => `${to.name} ${called}`,
  );

test.each<[string | undefined, string[]]>([
  ['<sip:300@b.example>', ['b 300']],
  ['sip:300@b.example;expires=60', ['b 300']],
  [
    '"Night desk, ground floor" <sip:301@A.example:5060;user=phone>;q=0.2, <sip:302@b.example>;q=0.9',
    ['b 302', 'a 301'],
  ],
  ['<sip:300;npdi@b.example>', ['b 300;npdi']],
  ['<sip:300@elsewhere.example>', []],
  ['<sip:+331@carrier.example>', []],
  ['<sip:b.example>', []],
  ['<tel:+33123>', []],
  ['*', []],
  [undefined, []],
])('%s leads to %j', (contact, expected) => {
  expect(targets(contact)).toEqual(expected);
});

test('who is called next learns from whom the call was diverted', () => {
  const [target] = redirectTargets('<sip:300@b.example>', { to: a, called: '200' }, { byUri }, 'deflection');
  expect(target?.diversion).toBe('<sip:200@a.example>;reason=deflection;counter=1');
});

test('a Contact full of nothing is read in no time', () => {
  expect(targets('<'.repeat(100_000))).toEqual([]);
  expect(targets(`,${' '.repeat(50_000)}`.repeat(4))).toEqual([]);
});
