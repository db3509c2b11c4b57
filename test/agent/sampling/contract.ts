/** What any sampler must keep to; run on the embedded one and on Redis. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { uniformOf } from '../../../agent/sampling/draw-keys.ts';
import { inPartsPerMillion, isSelected, partsPerMillion, roomOf } from '../../../agent/sampling/gate.ts';
import type { Reservation, SampleCounts, Sampler, SettledOutcome } from '../../../agent/sampling/sampler.ts';
import type { CallId, Rate } from '../../../config/units.ts';

export interface Backend extends AsyncDisposable {
  /** Clients of the same counts; the embedded sampler has one. */
  clients(): Promise<Sampler[]>;
  /** Ends and starts again whatever holds the counts. */
  restart(): Promise<void>;
}

export interface Clock {
  now: Date;
}

export const leaseMs = 6 * 3_600_000;

const secret = Buffer.alloc(32, 7);
/** Draws under one key, for ever. */
export const uniform = (call: string): { key: string; uniform: number } => ({
  key: 'test',
  uniform: uniformOf(secret, call),
});

const newCall = (): CallId => randomUUID() as CallId;
const campaign = (rate: number, name = randomUUID()): { name: string; rate: Rate } => ({
  name,
  rate: rate as Rate,
});

export function samplerContract(open: (clock: Clock) => Promise<Backend>): void {
  describe('a sampler', () => {
    const clock: Clock = { now: new Date('2026-11-23T10:00:00Z') };
    let backend: Backend;
    beforeAll(async () => {
      backend = await open(clock);
    });
    afterAll(async () => {
      await backend[Symbol.asyncDispose]();
    });

    async function client(): Promise<Sampler> {
      return (await backend.clients())[0]!;
    }

    async function converse(sampler: Sampler, of: { name: string; rate: Rate }): Promise<boolean> {
      const draw = await sampler.reserve(of, newCall());
      expect(draw.reason).toBe('quota');
      // Counted at once, in order; on disk with others.
      void sampler.settle(draw, draw.selected ? 'recorded' : 'not-recorded');
      return draw.selected;
    }

    test('a rate of zero selects nothing, not even with the start credit', async () => {
      const of = campaign(0);
      for (let index = 0; index < 5; index += 1) expect(await converse(await client(), of)).toBe(false);
    });

    test.each([0.01, 0.1, 0.3, 1 / 3, 0.5, 0.7, 0.999, 1])(
      'at rate %d the sample is within two conversations of its target, after any number of them',
      async (rate) => {
        const of = campaign(rate);
        const room = roomOf(inPartsPerMillion(rate as Rate)) / partsPerMillion;
        const behind: number[] = [0];
        for (let index = 0; index < 80; index += 1) {
          const drawn = Number(await converse(await client(), of));
          behind.push(behind.at(-1)! + rate - drawn);
          expect(behind.at(-1)).toBeGreaterThanOrEqual(-1 - 1e-9);
          expect(behind.at(-1)).toBeLessThanOrEqual(room + 1e-3);
        }
        for (let from = 0; from + 50 < behind.length; from += 1) {
          expect(Math.abs(behind[from + 50]! - behind[from]!)).toBeLessThanOrEqual(1 + room + 1e-3);
        }
      },
    );

    test('what was refused is made up for, up to the cap on the announced share', async () => {
      const [sampler, of] = [await client(), { ...campaign(0.4), announcedCap: 1.25 }];
      const counted = { announced: 0, recorded: 0 };
      for (let index = 1; index <= 150; index += 1) {
        // The same calls each time: what a draw of others would give now and then is no finding.
        const draw = await sampler.reserve(of, `refused-${index}` as CallId);
        const refused = draw.selected && index % 3 === 0;
        if (draw.selected) counted.announced += 1;
        if (draw.selected && !refused) counted.recorded += 1;
        void sampler.settle(draw, draw.selected && !refused ? 'recorded' : 'not-recorded');
        expect(counted.announced).toBeLessThanOrEqual(0.5 * index + 1);
        expect(counted.recorded).toBeLessThanOrEqual(0.4 * index + 1);
      }
      expect(counted.announced).toBeGreaterThan(0.41 * 150);
    });

    test('the daily guard ends the drawing of a day, and only of that day', async () => {
      const [sampler, of] = [await client(), { ...campaign(1), dailyGuard: 3 }];
      const begun = clock.now;
      try {
        const first = await sampler.reserve(of, newCall());
        await sampler.settle(first, 'no-conversation');
        for (let index = 0; index < 3; index += 1) expect(await converse(sampler, of)).toBe(true);
        expect(await converse(sampler, of)).toBe(false);
        clock.now = new Date(begun.getTime() + 86_400_000);
        expect(await converse(sampler, of)).toBe(true);
      } finally {
        clock.now = begun;
      }
    });

    test("days and months are counted by the campaign's time zone, an hour longer where the clocks go back", async () => {
      const sampler = await client();
      const of = { ...campaign(1), dailyGuard: 1, timeZone: 'Europe/Paris' };
      const begun = clock.now;
      try {
        // Sunday 25 October 2026 begins at 22:00 UTC and has 25 hours.
        clock.now = new Date('2026-10-24T22:00:00Z');
        expect(await converse(sampler, of)).toBe(true);
        clock.now = new Date('2026-10-25T22:59:59Z');
        expect(await converse(sampler, of)).toBe(false);
        clock.now = new Date('2026-10-25T23:00:00Z');
        expect(await converse(sampler, of)).toBe(true);
        expect(await sampler.counts(of.name, of.timeZone)).toEqual({ eligible: 3, recorded: 2, open: 0 });
        clock.now = new Date('2026-10-31T23:00:00Z');
        const draw = await sampler.reserve(of, newCall());
        expect(draw).toMatchObject({ selected: true, day: '2026-11-01', epoch: '2026-11' });
        expect(await sampler.counts(of.name, of.timeZone)).toEqual({ eligible: 0, recorded: 0, open: 1 });
        // Still open when another day has begun, and lapsed all the same.
        clock.now = new Date('2026-11-01T23:30:00Z');
        expect(await sampler.counts(of.name, of.timeZone)).toEqual({ eligible: 1, recorded: 1, open: 0 });
      } finally {
        clock.now = begun;
      }
    });

    test('a closed campaign draws nothing and counts nothing', async () => {
      const [sampler, of] = [await client(), { ...campaign(1), gate: 'closed' as const }];
      const draw = await sampler.reserve(of, newCall());
      expect(draw).toMatchObject({ selected: false, reason: 'closed', draw: undefined });
      await sampler.settle(draw, 'not-recorded');
      expect(await sampler.counts(of.name)).toEqual({ eligible: 0, recorded: 0, open: 0 });
    });

    test('a rate that is raised works on no earlier conversation, one that is lowered at once', async () => {
      const [sampler, { name }] = [await client(), campaign(0)];
      const at = async (rate: number, calls: number): Promise<number> => {
        let recorded = 0;
        for (let index = 0; index < calls; index += 1) {
          recorded += Number(await converse(sampler, { name, rate: rate as Rate }));
        }
        return recorded;
      };
      expect(await at(0.05, 200)).toBeLessThanOrEqual(11);
      expect(await at(0.6, 50)).toBeLessThanOrEqual(31);
      expect(await at(0.02, 100)).toBeLessThanOrEqual(3);
      expect(await at(0, 20)).toBe(0);
      expect(await at(1, 20)).toBeGreaterThanOrEqual(19);
    });

    test('calls that are rung at once do not keep a full rate waiting', async () => {
      const of = campaign(1);
      const [sampler] = await backend.clients();
      const draws = await Promise.all(Array.from({ length: 10 }, () => sampler!.reserve(of, newCall())));
      expect(draws.every(({ selected }) => selected)).toBe(true);
    });

    test('a call that nobody answered never counts, and gives its place back', async () => {
      const [sampler, of] = [await client(), campaign(1)];
      for (let index = 0; index < 3; index += 1) {
        const draw = await sampler.reserve(of, newCall());
        expect(draw.selected).toBe(true);
        await sampler.settle(draw, 'no-conversation');
      }
      expect(await sampler.counts(of.name)).toEqual({ eligible: 0, recorded: 0, open: 0 });
    });

    test('a refused call counts as a conversation, not as a recording', async () => {
      const [sampler, of] = [await client(), campaign(1)];
      const draw = await sampler.reserve(of, newCall());
      expect(await sampler.counts(of.name)).toEqual({ eligible: 0, recorded: 0, open: 1 });
      await sampler.settle(draw, 'not-recorded');
      expect(await sampler.counts(of.name)).toEqual({ eligible: 1, recorded: 0, open: 0 });
    });

    test('a message that comes twice changes nothing', async () => {
      const [sampler, of, call] = [await client(), campaign(1), newCall()];
      const [one, two] = await Promise.all([sampler.reserve(of, call), sampler.reserve(of, call)]);
      expect([one.selected, two.selected]).toEqual([true, true]);
      expect(await sampler.counts(of.name)).toEqual({ eligible: 0, recorded: 0, open: 1 });
      await Promise.all([sampler.settle(one, 'recorded'), sampler.settle(two, 'recorded')]);
      await sampler.settle(one, 'no-conversation');
      expect(await sampler.counts(of.name)).toEqual({ eligible: 1, recorded: 1, open: 0 });
      expect((await sampler.reserve(of, call)).selected).toBe(false);
      expect(await sampler.counts(of.name)).toEqual({ eligible: 1, recorded: 1, open: 0 });
    });

    test('a reservation that arrives after its settlement takes no place', async () => {
      const [sampler, of, call] = [await client(), campaign(0.5), newCall()];
      const heardNothing: Reservation = {
        campaign: of.name,
        call,
        selected: false,
        reason: 'unavailable',
        epoch: '2026-11',
        day: '2026-11-23',
        ppm: 500_000,
        capPpm: 750_000,
        basis: undefined,
        draw: undefined,
      };
      await sampler.settle(heardNothing, 'not-recorded');
      expect((await sampler.reserve(of, call)).selected).toBe(false);
      expect(await sampler.counts(of.name)).toEqual({ eligible: 1, recorded: 0, open: 0 });
    });

    test('clients that ask at the same moment share one start credit', async () => {
      const of = campaign(0.3);
      const samplers = await backend.clients();
      const draws = await Promise.all(
        Array.from({ length: 40 }, (_, index) => samplers[index % samplers.length]!.reserve(of, newCall())),
      );
      expect(draws.filter(({ selected }) => selected)).toHaveLength(1);
      await Promise.all(
        draws.map((draw, index) =>
          samplers[(index + 1) % samplers.length]!.settle(draw, draw.selected ? 'recorded' : 'not-recorded'),
        ),
      );
      expect(await samplers[0]!.counts(of.name)).toEqual({ eligible: 40, recorded: 1, open: 0 });
    });

    test('the decision can be taken again from what it was taken on', async () => {
      const [sampler, of] = [await client(), campaign(0.4)];
      for (let index = 1; index <= 40; index += 1) {
        const draw = await sampler.reserve(of, newCall());
        expect(draw.draw).toMatchObject({
          key: 'test',
          sequence: index,
          uniform: uniform(draw.call).uniform,
        });
        expect(isSelected(draw.draw!, draw.draw!, draw.draw!.uniform)).toBe(draw.selected);
        await sampler.settle(draw, draw.selected ? 'recorded' : 'not-recorded');
      }
    });

    test('a selection whose agent died counts as recorded after its lease, until its settlement says otherwise', async () => {
      const [sampler, of] = [await client(), campaign(1)];
      const lost = await sampler.reserve(of, newCall());
      const begun = clock.now;
      try {
        clock.now = new Date(begun.getTime() + leaseMs - 1);
        expect(await sampler.counts(of.name)).toEqual({ eligible: 0, recorded: 0, open: 1 });
        clock.now = new Date(begun.getTime() + leaseMs);
        expect(await sampler.counts(of.name)).toEqual({ eligible: 1, recorded: 1, open: 0 });
        await sampler.settle(lost, 'no-conversation');
        expect(await sampler.counts(of.name)).toEqual({ eligible: 0, recorded: 0, open: 0 });
      } finally {
        clock.now = begun;
      }
    });

    test('each month has its own counts, and a call settles in the month that drew it', async () => {
      const [sampler, of] = [await client(), campaign(1)];
      const november = await sampler.reserve(of, newCall());
      const begun = clock.now;
      try {
        clock.now = new Date('2026-12-01T00:00:00Z');
        const december = await sampler.reserve(of, newCall());
        expect([november.epoch, december.epoch]).toEqual(['2026-11', '2026-12']);
        expect(december.selected).toBe(true);
        await sampler.settle(november, 'recorded');
        expect(await sampler.counts(of.name)).toEqual({ eligible: 0, recorded: 0, open: 1 });
      } finally {
        clock.now = begun;
      }
      expect(await sampler.counts(of.name)).toEqual({ eligible: 1, recorded: 1, open: 0 });
    });

    test('counts and open selections outlive a restart', async () => {
      const of = campaign(1);
      for (let index = 0; index < 2; index += 1) {
        const before = await client();
        await before.settle(await before.reserve(of, newCall()), 'recorded');
      }
      const draw = await (await client()).reserve(of, newCall());
      expect(draw.selected).toBe(true);
      await backend.restart();
      const sampler = await client();
      expect(await sampler.counts(of.name)).toEqual({ eligible: 2, recorded: 2, open: 1 });
      await sampler.settle(draw, 'recorded');
      await sampler.settle(draw, 'recorded');
      expect(await sampler.counts(of.name)).toEqual({ eligible: 3, recorded: 3, open: 0 });
    });

    test('whatever happens in whatever order, the ceiling holds at every instant', async () => {
      const outcome = fc.constantFrom<SettledOutcome>('recorded', 'not-recorded', 'no-conversation');
      const action = fc.oneof(
        { weight: 8, arbitrary: fc.record({ do: fc.constant('call' as const), twice: fc.boolean() }) },
        {
          weight: 8,
          arbitrary: fc.record({
            do: fc.constant('settle' as const),
            which: fc.nat(20),
            outcome,
            twice: fc.boolean(),
          }),
        },
        {
          weight: 1,
          arbitrary: fc.record({
            do: fc.constant('rate' as const),
            percent: fc.integer({ min: 0, max: 100 }),
          }),
        },
        { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
      );
      let restarts = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(action, { maxLength: 60 }),
          fc.integer({ min: 1, max: 100 }),
          async (actions, percent) => {
            const name = randomUUID();
            let rate = percent / 100;
            let allowed = 0;
            const truth: SampleCounts = { eligible: 0, recorded: 0, open: 0 };
            const running: Reservation[] = [];
            for (const [index, each] of actions.entries()) {
              const samplers = await backend.clients();
              const sampler = samplers[index % samplers.length]!;
              if (each.do === 'rate') {
                rate = each.percent / 100;
              } else if (each.do === 'restart') {
                // Each costs a second of a real server's life: enough of them to be sure, no more.
                if (restarts < 5) await backend.restart();
                restarts += 1;
              } else if (each.do === 'call') {
                const call = newCall();
                const draw = await sampler.reserve(campaign(rate, name), call);
                if (each.twice)
                  expect((await sampler.reserve(campaign(rate, name), call)).selected).toBe(draw.selected);
                expect(isSelected(draw.draw!, draw.draw!, draw.draw!.uniform)).toBe(draw.selected);
                if (draw.selected) truth.open += 1;
                running.push(draw);
              } else if (running.length > 0) {
                const draw = running.splice(each.which % running.length, 1)[0]!;
                const fate = !draw.selected && each.outcome === 'recorded' ? 'not-recorded' : each.outcome;
                await sampler.settle(draw, fate);
                if (each.twice) await sampler.settle(draw, fate);
                if (draw.selected) truth.open -= 1;
                if (fate !== 'no-conversation') {
                  truth.eligible += 1;
                  allowed += draw.ppm;
                }
                if (fate === 'recorded') truth.recorded += 1;
              }
              expect(truth.recorded * partsPerMillion).toBeLessThanOrEqual(allowed + partsPerMillion);
            }
            expect(await (await client()).counts(name)).toEqual(truth);
          },
        ),
        { numRuns: 40 },
      );
    });
  });
}
