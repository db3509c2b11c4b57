import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { announce, hearRefusal } from '../../../agent/call/announcement.ts';
import { whenAborted } from '../../../agent/call/first-of.ts';
import type { EpochMicros } from '../../../config/units.ts';
import type { Digit, MediaSide, Played, PressedDigit } from '../../../media/plane.ts';
import { encodeAll } from '../../../media/prompts/encoded.ts';
import type { Prompt } from '../../../media/prompts/prompt.ts';

const prompt: Prompt = {
  name: 'fr-object',
  hash: 'ab',
  durationMs: 100,
  encoded: encodeAll(new Int16Array(800)),
};
const whole: Played = { heardMs: 100, durationMs: 100, complete: true };
const cut: Played = { heardMs: 40, durationMs: 100, complete: false };

/** A side whose far end presses keys and whose prompt ends when the test says so. */
function fakeSide() {
  const listeners = new Set<(digit: PressedDigit) => void>();
  let finish: (played: Played) => void = () => undefined;
  let plays = 0;
  const side = {
    onDigit: (listener: (digit: PressedDigit) => void) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    play: (_prompt: Prompt, signal: AbortSignal) =>
      new Promise<Played>((resolve) => {
        finish = resolve;
        plays += 1;
        signal.addEventListener('abort', () => resolve(cut), { once: true });
      }),
  } as unknown as MediaSide;
  const press = (digit: Digit, at = 1): void => {
    for (const listener of listeners) listener({ digit, at: at as EpochMicros });
  };
  const begun = (count: number): Promise<void> => expect.poll(() => plays).toBe(count);
  /** Ends one playing after the other. */
  const finishAll = async (...all: Played[]): Promise<void> => {
    for (const [index, played] of all.entries()) {
      await begun(index + 1);
      finish(played);
    }
  };
  return { side, press, begun, finish: (played: Played) => finish(played), finishAll, listeners };
}

const never = new AbortController().signal;

test('a prompt played to its end with nobody refusing is told', async () => {
  const { side, finish } = fakeSide();
  using watch = hearRefusal(side, ['2']);
  const announced = announce(side, { prompt, graceMs: 0, repeatKeys: [] }, watch, never);
  finish(whole);
  expect(await announced).toEqual({ kind: 'told', played: whole });
});

test('a prompt that was cut short is played once more, from its beginning', async () => {
  const { side, finishAll } = fakeSide();
  using watch = hearRefusal(side, ['2']);
  const announced = announce(side, { prompt, graceMs: 0, repeatKeys: [] }, watch, never);
  await finishAll(cut, whole);
  expect(await announced).toEqual({ kind: 'told', played: whole });
});

test('a prompt cut short again is not told, whatever came after', async () => {
  const { side, finishAll } = fakeSide();
  using watch = hearRefusal(side, ['2']);
  const announced = announce(side, { prompt, graceMs: 0, repeatKeys: [] }, watch, never);
  await finishAll(cut, cut);
  expect(await announced).toEqual({ kind: 'not-told', played: cut });
});

test('the party may have it once more, during it and after it, three times', async () => {
  const { side, press, begun, finish, listeners } = fakeSide();
  const watch = hearRefusal(side, ['2']);
  const announced = announce(side, { prompt, graceMs: 0, repeatKeys: ['*'] }, watch, never);
  for (let time = 0; time < 3; time += 1) {
    press('*');
    await begun(time + 2);
  }
  press('*');
  finish(whole);
  expect(await announced).toEqual({ kind: 'told', played: whole });
  watch[Symbol.dispose]();
  expect(listeners.size).toBe(0);
});

test('a refusal during the prompt ends it at once', async () => {
  const { side, press } = fakeSide();
  using watch = hearRefusal(side, ['2']);
  const announced = announce(side, { prompt, graceMs: 60_000, repeatKeys: [] }, watch, never);
  press('2');
  expect((await announced).kind).toBe('refused');
  expect(watch.refusal).toEqual({ by: 'key', digit: '2', at: 1 });
});

test('a refusal in the grace after the prompt counts', async () => {
  const { side, press, finish } = fakeSide();
  using watch = hearRefusal(side, ['2']);
  const announced = announce(side, { prompt, graceMs: 60_000, repeatKeys: [] }, watch, never);
  finish(whole);
  setImmediate(() => press('2'));
  expect((await announced).kind).toBe('refused');
});

test('a caller who hangs up during the prompt was not told', async () => {
  const { side } = fakeSide();
  const hangup = new AbortController();
  using watch = hearRefusal(side, ['2']);
  const announced = announce(side, { prompt, graceMs: 60_000, repeatKeys: [] }, watch, hangup.signal);
  hangup.abort();
  expect(await announced).toEqual({ kind: 'ended' });
});

test('for any order of keys, prompt end and hang-up: told only if whole, unrefused and still there', async () => {
  const step = fc.constantFrom('refuse', 'repeat', 'other-key', 'whole', 'cut', 'hangup', 'turn');
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      const { side, press, finish, listeners } = fakeSide();
      const hangup = new AbortController();
      const watch = hearRefusal(side, ['2']);
      // What was so at the moment of the result: the steps that are left may come after it.
      const ending = announce(side, { prompt, graceMs: 5, repeatKeys: ['*'] }, watch, hangup.signal).then(
        (announced) => ({
          announced,
          refused: watch.refused.aborted,
          hungUp: hangup.signal.aborted,
        }),
      );
      for (const each of steps) {
        if (each === 'refuse') press('2');
        if (each === 'repeat') press('*');
        if (each === 'other-key') press('5');
        if (each === 'whole') finish(whole);
        if (each === 'cut') finish(cut);
        if (each === 'hangup') hangup.abort();
        if (each === 'turn') await new Promise(setImmediate);
      }
      let over = false;
      void ending.then(() => (over = true));
      while (!over) {
        finish(whole);
        await new Promise(setImmediate);
      }
      const { announced, refused, hungUp } = await ending;
      if (announced.kind === 'told') {
        expect(announced.played.complete).toBe(true);
        expect(refused).toBe(false);
        expect(hungUp).toBe(false);
      }
      watch[Symbol.dispose]();
      expect(listeners.size).toBe(0);
    }),
    { numRuns: 300 },
  );
});

describe('where the law asks for a yes', () => {
  const question = { keys: ['1' as const], graceMs: 20, askedAt: 5 as EpochMicros };

  test('a yes to the whole question tells, with the key and its time', async () => {
    const { side, press, finish } = fakeSide();
    using watch = hearRefusal(side, ['2']);
    const announced = announce(
      side,
      { prompt, graceMs: 0, repeatKeys: [], question: { ...question, graceMs: 60_000 } },
      watch,
      never,
    );
    finish(whole);
    setImmediate(() => press('1', 9));
    expect(await announced).toEqual({
      kind: 'told',
      played: whole,
      consent: { by: 'key', digit: '1', at: 9 },
    });
  });

  test.each([
    ['silence', []],
    ['another key', [['5', 9]]],
    ['a key from before the question', [['1', 4]]],
  ] as const)('%s is a no', async (_, keys) => {
    const { side, press, finish, listeners } = fakeSide();
    const watch = hearRefusal(side, ['2']);
    const announced = announce(side, { prompt, graceMs: 0, repeatKeys: [], question }, watch, never);
    for (const [key, at] of keys) press(key, at);
    finish(whole);
    expect(await announced).toEqual({ kind: 'no-consent', played: whole });
    watch[Symbol.dispose]();
    expect(listeners.size).toBe(0);
  });

  test('a yes during a question that was cut short is none', async () => {
    const { side, press, finishAll } = fakeSide();
    using watch = hearRefusal(side, ['2']);
    const announced = announce(side, { prompt, graceMs: 0, repeatKeys: [], question }, watch, never);
    press('1', 9);
    await finishAll(cut, cut);
    expect(await announced).toEqual({ kind: 'not-told', played: cut });
  });

  test('a no after a yes, still in the prompt, is a no', async () => {
    const { side, press } = fakeSide();
    using watch = hearRefusal(side, ['2']);
    const announced = announce(side, { prompt, graceMs: 0, repeatKeys: [], question }, watch, never);
    press('1', 9);
    press('2', 10);
    expect((await announced).kind).toBe('refused');
  });
});

test('whoever waits for an abort that has happened does not wait', async () => {
  expect(await whenAborted(AbortSignal.abort('gone'))(never)).toBe('gone');
});
