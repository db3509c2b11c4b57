import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { LinkedAbortController } from '../../../agent/call/linked-abort.ts';

test('it aborts when one of its sources does, with the reason of that one', () => {
  const [one, other] = [new AbortController(), new AbortController()];
  using linked = new LinkedAbortController(one.signal, other.signal);
  expect(linked.signal.aborted).toBe(false);
  other.abort('over');
  one.abort('too late');
  expect(linked.signal.reason).toBe('over');
});

test('it is aborted from the beginning where a source was', () => {
  using linked = new LinkedAbortController(new AbortController().signal, AbortSignal.abort('before'));
  expect(linked.signal.reason).toBe('before');
});

test('its own end is not that of its sources', () => {
  const source = new AbortController();
  using linked = new LinkedAbortController(source.signal);
  linked.abort('enough');
  expect([linked.signal.reason, source.signal.aborted]).toEqual(['enough', false]);
});

test('after its scope it follows nobody, and nothing of it stays with what outlives it', () => {
  const longLived = new AbortController();
  const linked = new LinkedAbortController(longLived.signal);
  expect(getEventListeners(longLived.signal, 'abort')).toHaveLength(1);
  linked[Symbol.dispose]();
  expect(getEventListeners(longLived.signal, 'abort')).toHaveLength(0);
  longLived.abort();
  expect(linked.signal.aborted).toBe(false);
});
