import { expect, test } from 'vitest';
import { Health, verdictOf, type Verdict } from '../../../agent/sip/health.ts';
import type { Peer } from '../../../agent/sip/peers.ts';
import { peerNamed } from './peer.ts';

/** A clock that the test moves, and a peer that answers OPTIONS as the test says. */
function watched(health: Partial<Peer['health']> = {}) {
  const peer = peerNamed('pbx', {
    health: { intervalSeconds: 30, timeoutMs: 2_000, failures: 2, ...health },
  });
  const alarms = new Set<{ at: number; ring: () => void }>();
  const changes: string[] = [];
  const time = { now: 0, asked: 0, answer: { kind: 'alive' } as Verdict | 'silence' };
  const watch = new Health({
    peers: [peer],
    clock: {
      now: () => time.now,
      after(delayMs, ring) {
        const alarm = { at: time.now + delayMs, ring };
        alarms.add(alarm);
        return { cancel: () => alarms.delete(alarm) };
      },
    },
    probe: (_peer, signal) => {
      time.asked += 1;
      const { answer } = time;
      if (answer !== 'silence') return Promise.resolve(answer);
      return new Promise((resolve) =>
        signal.addEventListener('abort', () => resolve({ kind: 'failed', why: 'silence' })),
      );
    },
    onChange: (_peer, up, why) => changes.push(`${up ? 'up' : 'down'}: ${why}`),
  });
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const pass = async (ms: number): Promise<void> => {
    const end = time.now + ms;
    for (;;) {
      await settle();
      const next = [...alarms].sort((one, other) => one.at - other.at)[0];
      if (next === undefined || next.at > end) break;
      alarms.delete(next);
      time.now = next.at;
      next.ring();
    }
    time.now = end;
    await settle();
  };
  return { peer, watch, time, pass, changes, alarms };
}

test('a peer that leaves OPTIONS unanswered is down after the second, and back with the first good answer', async () => {
  const { peer, watch, time, pass, changes } = watched();
  time.answer = 'silence';
  watch.start();
  await pass(2_000);
  expect(watch.isUp(peer)).toBe(true);
  await pass(32_000);
  expect(watch.isUp(peer)).toBe(false);
  time.answer = { kind: 'alive' };
  await pass(5_000);
  expect(watch.isUp(peer)).toBe(true);
  expect(changes).toEqual(['down: silence', 'up: it answers']);
});

test('calls that fail count as OPTIONS do, and one good call between them starts the count anew', () => {
  const { peer, watch } = watched();
  const failed: Verdict = { kind: 'failed', why: 'it cannot be reached' };
  watch.tell(peer, failed);
  watch.tell(peer, { kind: 'alive' });
  watch.tell(peer, failed);
  expect(watch.isUp(peer)).toBe(true);
  watch.tell(peer, failed);
  expect(watch.isUp(peer)).toBe(false);
  watch.tell(peer, { kind: 'alive' });
  expect(watch.isUp(peer)).toBe(true);
});

test('Retry-After of a call is honoured though OPTIONS are answered', async () => {
  const { peer, watch, pass } = watched();
  watch.start();
  watch.tell(peer, { kind: 'asked-off', forMs: 60_000 });
  await pass(59_000);
  expect(watch.isUp(peer)).toBe(false);
  await pass(6_500);
  expect(watch.isUp(peer)).toBe(true);
});

test('without OPTIONS a peer that failed is tried again after a while', async () => {
  const { peer, watch, time, pass } = watched({ intervalSeconds: 0, failures: 1 });
  watch.start();
  watch.tell(peer, { kind: 'failed', why: 'silence' });
  expect(watch.isUp(peer)).toBe(false);
  await pass(30_000);
  expect(watch.isUp(peer)).toBe(true);
  expect(time.asked).toBe(0);
});

test('nothing is asked, and no alarm set, once it is closed', async () => {
  const { watch, time, pass, alarms } = watched();
  watch.start();
  await pass(1_000);
  watch[Symbol.dispose]();
  await pass(100_000);
  expect(time.asked).toBe(1);
  expect(alarms.size).toBe(0);
});

test.each<[number, string | undefined, 'INVITE' | 'OPTIONS', Verdict['kind'] | undefined]>([
  [200, undefined, 'OPTIONS', 'alive'],
  [404, undefined, 'OPTIONS', 'alive'],
  [405, undefined, 'OPTIONS', 'alive'],
  [501, undefined, 'OPTIONS', 'alive'],
  [408, undefined, 'OPTIONS', 'failed'],
  [503, undefined, 'OPTIONS', 'failed'],
  [503, '120;duration=60', 'OPTIONS', 'asked-off'],
  [486, undefined, 'INVITE', 'alive'],
  [603, undefined, 'INVITE', 'alive'],
  [500, undefined, 'INVITE', undefined],
  [503, undefined, 'INVITE', undefined],
  [503, '30 (in a moment)', 'INVITE', 'asked-off'],
  [503, 'soon', 'INVITE', undefined],
])('%i (Retry-After: %s) to %s says %s', (status, retryAfter, method, kind) => {
  expect(verdictOf(status, retryAfter, method)?.kind).toBe(kind);
});
