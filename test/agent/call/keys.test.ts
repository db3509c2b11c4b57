import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keypadOf, onCode } from '../../../agent/call/keys.ts';
import type { EpochMicros } from '../../../config/units.ts';
import type { Digit, PressedDigit } from '../../../media/plane.ts';
import { fakeLeg } from './fake-leg.ts';

/** A party whose keys come by RTP and by INFO as the test says, on a clock of its own. */
function party() {
  let now = 0;
  const listeners = new Set<(digit: PressedDigit) => void>();
  const side = {
    onDigit: (listener: (digit: PressedDigit) => void) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
  const far = fakeLeg();
  return {
    keypad: keypadOf(side, far.leg, () => now as EpochMicros),
    after: (ms: number) => void (now += ms * 1_000),
    byRtp: (digit: Digit) => {
      for (const listener of listeners) listener({ digit, at: now as EpochMicros });
    },
    byInfo: (digit: Digit) => far.peerPresses(digit),
    listening: () => listeners.size + far.keyListeners.size,
  };
}

test('a key that comes by RTP and by INFO within 200 ms is one key, later it is another', () => {
  const { keypad, after, byRtp, byInfo } = party();
  const heard: string[] = [];
  using _listening = keypad.onDigit(({ digit }) => heard.push(digit));
  byRtp('2');
  after(40);
  byInfo('2');
  expect(heard).toEqual(['2']);
  after(300);
  byInfo('2');
  after(199);
  byRtp('2');
  expect(heard).toEqual(['2', '2']);
  after(201);
  byInfo('2');
  expect(heard).toEqual(['2', '2', '2']);
});

test('a key pressed twice quickly by one means is two keys', () => {
  const { keypad, after, byRtp } = party();
  const heard: string[] = [];
  using _listening = keypad.onDigit(({ digit }) => heard.push(digit));
  byRtp('2');
  after(120);
  byRtp('2');
  expect(heard).toEqual(['2', '2']);
});

test('whoever stops listening leaves no listener', () => {
  const { keypad, listening } = party();
  {
    using _listening = keypad.onDigit(() => undefined);
    expect(listening()).toBe(2);
  }
  expect(listening()).toBe(0);
});

test('for any order of presses, each told by one or both means at once, each is heard once', () => {
  const press = fc.record({
    digit: fc.constantFrom<Digit>('1', '2', '#'),
    means: fc.constantFrom('rtp', 'info', 'both', 'both-info-first'),
  });
  fc.assert(
    fc.property(fc.array(press, { maxLength: 20 }), (presses) => {
      const { keypad, after, byRtp, byInfo } = party();
      const heard: string[] = [];
      using _listening = keypad.onDigit(({ digit }) => heard.push(digit));
      for (const { digit, means } of presses) {
        after(250);
        if (means === 'both-info-first') byInfo(digit);
        if (means !== 'info') byRtp(digit);
        if (means === 'info' || means === 'both') byInfo(digit);
      }
      expect(heard).toEqual(presses.map(({ digit }) => digit));
    }),
  );
});

test('a code is heard at its last key, not when the keys lie too far apart or others between', () => {
  const { keypad, after, byRtp } = party();
  let times = 0;
  using _listening = onCode(keypad, '*71', () => (times += 1));
  const enter = (keys: string, apartMs: number): void => {
    for (const digit of keys) {
      after(apartMs);
      byRtp(digit as Digit);
    }
  };
  enter('*71', 300);
  expect(times).toBe(1);
  enter('*7', 300);
  enter('1', 3_100);
  expect(times).toBe(1);
  enter('*7*71', 300);
  expect(times).toBe(2);
  enter('71', 300);
  expect(times).toBe(2);
});
