import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { after, firstOf, whenAborted } from '../../../agent/call/first-of.ts';

test('the first racer to settle wins and the others are told to end', async () => {
  const ended: string[] = [];
  const first = await firstOf({
    quick: () => Promise.resolve('here'),
    slow: async (signal) => {
      await whenAborted(signal)(new AbortController().signal);
      ended.push('slow');
    },
  });
  expect(first).toEqual({ won: 'quick', value: 'here' });
  await Promise.resolve();
  expect(ended).toEqual(['slow']);
});

test('the end of the call ends every racer', async () => {
  const call = new AbortController();
  const waiting = firstOf({ ended: whenAborted(call.signal), never: after(3_600_000) }, call.signal);
  call.abort('hung up');
  expect(await waiting).toEqual({ won: 'ended', value: 'hung up' });
});

test('a race leaves no listener on the signals it watched', async () => {
  const hangup = new AbortController();
  const refusal = new AbortController();
  await firstOf({
    hangup: whenAborted(hangup.signal),
    refusal: whenAborted(refusal.signal),
    grace: after(1),
  });
  expect(getEventListeners(hangup.signal, 'abort')).toHaveLength(0);
  expect(getEventListeners(refusal.signal, 'abort')).toHaveLength(0);
});

test('a winner that throws is the race that throws', async () => {
  await expect(
    firstOf({ broken: () => Promise.reject(new Error('worker died')), never: after(3_600_000) }),
  ).rejects.toThrow('worker died');
});
