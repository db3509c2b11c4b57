import { expect, test } from 'vitest';
import { directCrossing } from '../../../agent/call/crossing.ts';
import { Pair } from '../../../agent/call/legs.ts';
import { CallRegistry } from '../../../agent/call/registry.ts';
import type { CallId, EpochMicros } from '../../../config/units.ts';
import { fakeLeg } from './fake-leg.ts';

const order = { by: 'ann', reason: 'complaint' };
const facts = (call: string) => ({
  call: call as CallId,
  campaign: 'support-fr',
  direction: 'inbound' as const,
  since: 1 as EpochMicros,
});

test('an order waits until the call takes it, and is answered when it was carried out', async () => {
  const calls = new CallRegistry();
  using listed = calls.enter(facts('a'));
  expect(listed.take()).toBeUndefined();
  const pausing = calls.pause('a' as CallId, order);
  await listed.ordered(new AbortController().signal);
  const taken = listed.take();
  expect(taken).toMatchObject({ verb: 'pause', by: 'ann', reason: 'complaint' });
  taken?.answer({ done: true });
  expect(await pausing).toEqual({ done: true });
});

test('a call that waits for orders wakes at the next one, or when it is told to stop waiting', async () => {
  const calls = new CallRegistry();
  using listed = calls.enter(facts('a'));
  const over = new AbortController();
  const waiting = listed.ordered(over.signal);
  over.abort();
  await waiting;
  const again = listed.ordered(new AbortController().signal);
  void calls.stop('a' as CallId, order);
  await again;
  expect(listed.take()?.verb).toBe('stop');
});

test('orders about a call that ends, has ended or never was are refused', async () => {
  const calls = new CallRegistry();
  const listed = calls.enter(facts('a'));
  const recording = calls.record('a' as CallId, order);
  listed[Symbol.dispose]();
  expect(await recording).toEqual({ done: false, why: 'the call has ended' });
  expect((await calls.resume('a' as CallId, order)).done).toBe(false);
  expect(calls.list()).toEqual([]);
});

test('the calls in progress are listed with what they are doing', () => {
  const calls = new CallRegistry();
  using a = calls.enter(facts('a'));
  using _b = calls.enter(facts('b'));
  a.state = 'recording';
  expect(calls.list()).toMatchObject([
    { call: 'a', state: 'recording', campaign: 'support-fr' },
    { call: 'b', state: 'setting-up' },
  ]);
});

test('a dialog named as its far end names it is found, with its call and the side it is on', () => {
  const calls = new CallRegistry();
  using listed = calls.enter(facts('a'));
  const [one, other] = [fakeLeg().leg, fakeLeg().leg];
  Object.assign(other, {
    dialog: { callId: 'call', localTag: 'our other tag', remoteTag: 'their other tag' },
  });
  const pair = (listed.pair = new Pair({ caller: one, agent: other }, directCrossing));
  const named = { callId: 'call', ourTag: 'our other tag', theirTag: 'their other tag' };
  expect(calls.find(named)).toEqual({ call: listed, pair, side: 'agent' });
  expect(calls.find({ callId: 'call', ourTag: 'ours', theirTag: 'theirs' })?.side).toBe('caller');
  expect(calls.find({ ...named, theirTag: 'x' })).toBeUndefined();
});
