import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Recording, type RecordingGrounds, type Silence } from '../../../agent/call/recording.ts';
import type { EpochMicros } from '../../../config/units.ts';
import type { Gap } from '../../../media/fork/sink.ts';
import type { MediaSession } from '../../../media/plane.ts';

/** A recording over a media plane that only says when it copies, on a clock that the test advances. */
async function recording({ pauses = true } = {}) {
  const clock = { now: 0 };
  const gaps: Gap[] = [];
  let copying = true;
  const at = (): EpochMicros => clock.now as EpochMicros;
  const fork = {
    startedAt: at(),
    pause: async () => {
      if (!pauses) throw new Error('the worker is gone');
      copying = false;
      return at();
    },
    resume: async () => {
      copying = true;
      return at();
    },
    stop: async () => {
      copying = false;
      return { stoppedAt: at(), packets: { caller: 0, agent: 0 }, bytes: { caller: 0, agent: 0 } };
    },
  };
  const media = { caller: { codecs: {} }, agent: { codecs: {} }, fork: async () => fork };
  const stream = {
    recording: 'r',
    failed: new AbortController().signal,
    write: () => undefined,
    gap: (gap: Gap) => void gaps.push(gap),
    close: async () => 'stored' as const,
    destroy: async () => 'pending' as const,
  };
  const grounds = { call: 'c', campaign: {}, constraint: {}, retainUntil: '', parties: {} };
  const running = await Recording.start(
    media as unknown as MediaSession,
    grounds as unknown as RecordingGrounds,
    {
      ledger: { append: async () => ({ hash: 'h' }) },
      sink: { open: async () => stream },
      now: at,
    } as unknown as Parameters<typeof Recording.start>[2],
  );
  return { running, gaps, clock, copying: () => copying };
}

test('a hold within a pause: nothing is captured until both are over, and the gap is declared once a side', async () => {
  const { running, gaps, clock, copying } = await recording();
  clock.now = 10;
  await running.silence('paused');
  clock.now = 20;
  await running.silence('hold');
  clock.now = 30;
  await running.sound('hold');
  expect(copying()).toBe(false);
  clock.now = 40;
  await running.sound('paused');
  expect(copying()).toBe(true);
  expect(gaps).toEqual([
    { side: 'caller', from: 10, to: 40, kind: 'paused' },
    { side: 'agent', from: 10, to: 40, kind: 'paused' },
  ]);
});

test('a pause that outlasts a hold is declared as what it is from then on', async () => {
  const { running, gaps, clock } = await recording();
  await running.silence('hold');
  clock.now = 5;
  await running.silence('paused');
  clock.now = 10;
  await running.sound('hold');
  clock.now = 20;
  await running.finish('hangup');
  expect(gaps.filter(({ side }) => side === 'caller')).toEqual([
    { side: 'caller', from: 0, to: 10, kind: 'hold' },
    { side: 'caller', from: 10, to: 20, kind: 'paused' },
  ]);
});

test('a pause that the media plane does not confirm is an error, and the next change is tried all the same', async () => {
  const { running } = await recording({ pauses: false });
  await expect(running.silence('paused')).rejects.toThrow('gone');
  await running.finish('interrupted');
});

test('for any order of silences: captured exactly while there is no reason for silence, and every other moment is a gap', async () => {
  const step = fc.record({
    why: fc.constantFrom<Silence>('hold', 'paused', 'untold'),
    begins: fc.boolean(),
    after: fc.integer({ min: 1, max: 9 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
      const { running, gaps, clock, copying } = await recording();
      const reasons = new Set<Silence>();
      let silentFor = 0;
      for (const { why, begins, after } of steps) {
        if (reasons.size > 0) silentFor += after;
        clock.now += after;
        if (begins) {
          reasons.add(why);
          await running.silence(why);
        } else {
          reasons.delete(why);
          await running.sound(why);
        }
        expect(copying()).toBe(reasons.size === 0);
      }
      await running.finish('hangup');
      const declared = gaps.filter(({ side }) => side === 'caller');
      expect(declared.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(silentFor);
      for (const [index, gap] of declared.slice(1).entries()) {
        expect(gap.from).toBeGreaterThanOrEqual(declared[index]!.to);
      }
    }),
    { numRuns: 200 },
  );
});
