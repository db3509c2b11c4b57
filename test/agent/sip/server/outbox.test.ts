import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Outbox } from '../../../../agent/sip/server/control/outbox.ts';

it('puts frames together in their order, never two of a call in one write, nothing after one that is last', () => {
  const frame = fc.record({ call: fc.constantFrom('', 'a', 'b', 'c', 'd'), last: fc.boolean() });
  fc.assert(
    fc.property(fc.array(frame), (frames) => {
      const outbox = new Outbox();
      for (const [at, { call, last }] of frames.entries()) outbox.push(`<${at}>`, call, last);
      const sent: number[] = [];
      while (!outbox.empty) {
        const together = [...outbox.take().matchAll(/<(\d+)>/gu)].map(([, at]) => Number(at));
        expect(together.length).toBeGreaterThan(0);
        const calls = together.map((at) => frames[at]!.call);
        expect(new Set(calls).size).toBe(calls.length);
        expect(together.slice(0, -1).some((at) => frames[at]!.last)).toBe(false);
        sent.push(...together);
      }
      expect(sent).toEqual([...frames.keys()]);
    }),
  );
});
