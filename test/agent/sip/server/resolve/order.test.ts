import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { SrvRecord } from '../../../../../agent/sip/server/resolve/dns.ts';
import { inSrvOrder } from '../../../../../agent/sip/server/resolve/order.ts';

const record = fc.record({
  priority: fc.integer({ min: 0, max: 3 }),
  weight: fc.integer({ min: 0, max: 100 }),
  port: fc.constant(5_060),
  name: fc.string({ minLength: 1, maxLength: 3 }),
});

it('every record once, by priority, whatever the dice say', () => {
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 8 }),
      fc.array(fc.double({ min: 0, max: 0.999 })),
      (given, dice) => {
        let turn = 0;
        const random = () => dice[turn++ % Math.max(1, dice.length)] ?? 0;
        const ordered = inSrvOrder(given, random);
        expect(new Set(ordered)).toEqual(new Set(given));
        expect(ordered).toHaveLength(given.length);
        const priorities = ordered.map(({ priority }) => priority);
        expect(priorities).toEqual([...priorities].sort((a, b) => a - b));
      },
    ),
  );
});

it('the first as often as its weight says', () => {
  const servers: SrvRecord[] = [10, 30, 60].map((weight) => ({
    priority: 1,
    weight,
    port: 5_060,
    name: String(weight),
  }));
  const first = new Map<string, number>();
  // Evenly spread dice instead of chance: the shares are then exact to a step.
  const steps = 1_000;
  for (let step = 0; step < steps; step++) {
    const [chosen] = inSrvOrder(servers, () => step / steps);
    first.set(chosen!.name, (first.get(chosen!.name) ?? 0) + 1);
  }
  for (const { name, weight } of servers) {
    expect(Math.abs((first.get(name) ?? 0) / steps - weight / 100)).toBeLessThan(0.02);
  }
});
