import fc from 'fast-check';
import { expect, test } from 'vitest';
import { orderRoute, willing, type Member, type Route } from '../../../agent/sip/route.ts';
import { peerNamed } from './peer.ts';

const crowd = ['a', 'b', 'c', 'd', 'e'].map((name) => peerNamed(name));

const members = fc
  .uniqueArray(
    fc.record({
      peer: fc.constantFrom(...crowd),
      priority: fc.nat(2),
      weight: fc.nat(3),
    }),
    { selector: ({ peer }) => peer, minLength: 1 },
  )
  .map((list): Member[] => list);

test('an order names every member once, lower priorities before higher ones', () => {
  fc.assert(
    fc.property(members, fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), (list, draws) => {
      const order = orderRoute([{ name: 'group', members: list }], () => draws.next().value as number);
      expect(new Set(order)).toEqual(new Set(list.map(({ peer }) => peer)));
      expect(order.length).toBe(list.length);
      const priorities = order.map((peer) => list.find((member) => member.peer === peer)!.priority);
      expect(priorities).toEqual([...priorities].sort((one, other) => one - other));
    }),
  );
});

test('members are first as often as their weight says', () => {
  const [light, heavy, spare] = crowd;
  const group = {
    name: 'group',
    members: [
      { peer: light!, priority: 1, weight: 1 },
      { peer: heavy!, priority: 1, weight: 3 },
      { peer: spare!, priority: 1, weight: 0 },
    ],
  };
  const firsts = Array.from({ length: 400 }, (_, index) => orderRoute([group], () => (index + 0.5) / 400)[0]);
  expect(firsts.filter((peer) => peer === light).length).toBe(100);
  expect(firsts.filter((peer) => peer === heavy).length).toBe(300);
});

test('a route of peers and groups is tried in its order, and nobody twice', () => {
  const [a, b, c] = crowd;
  const route: Route = [
    a!,
    {
      name: 'group',
      members: [
        { peer: b!, priority: 2, weight: 1 },
        { peer: a!, priority: 1, weight: 1 },
      ],
    },
    c!,
  ];
  expect(orderRoute(route)).toEqual([a, b, c]);
});

test('who is down stands out, unless all are', () => {
  const [a, b] = crowd;
  expect(willing([a!, b!], (peer) => peer === b)).toEqual([b]);
  expect(willing([a!, b!], () => false)).toEqual([a, b]);
});
