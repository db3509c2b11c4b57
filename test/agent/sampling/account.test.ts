import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  drawOne,
  emptyAccount,
  lapsed,
  released,
  settled,
  type Account,
  type DrawnUnder,
} from '../../../agent/sampling/account.ts';
import { uniformOf } from '../../../agent/sampling/draw-keys.ts';
import { partsPerMillion, roomOf, uniformRange, type Terms } from '../../../agent/sampling/gate.ts';
import type { SettledOutcome } from '../../../agent/sampling/sampler.ts';
import { guess, predictorAdvantage } from './predictor.ts';

const secret = Buffer.alloc(32, 1);
const day = '2026-11-23';
const terms = (ppm: number): Terms => ({
  ppm,
  capPpm: Math.min(partsPerMillion, Math.floor(ppm * 1.5)),
  dailyGuard: undefined,
});

/** Calls one after another that nobody refuses. */
function* sequence(ppm: number, calls: number): Generator<{ selected: boolean; account: Account }> {
  let account = emptyAccount;
  for (let call = 0; call < calls; call += 1) {
    const draw = drawOne(account, terms(ppm), day, uniformOf(secret, `${ppm}/${call}`));
    account = settled(
      draw.after,
      draw.selected ? 'open' : 'passed',
      { ...terms(ppm), day },
      draw.selected ? 'recorded' : 'not-recorded',
    );
    yield { selected: draw.selected, account };
  }
}

describe('where nobody refuses', () => {
  test.each([
    1, 7_000, 10_000, 50_000, 100_000, 300_000, 333_333, 400_000, 500_000, 620_000, 700_000, 990_000,
  ])('at %d parts per million the sample never leaves its room: one or two behind, one before', (ppm) => {
    const room = roomOf(ppm);
    const outside = [...sequence(ppm, 5_000)].filter(
      ({ account: { credit, recorded, eligible } }) =>
        credit < -partsPerMillion || credit > room || recorded * partsPerMillion !== eligible * ppm - credit,
    );
    expect(outside).toEqual([]);
  });

  test('at any rate, after any number of conversations of the month, 50 or fewer or more, the sample is within two of its target', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: partsPerMillion }), (ppm) => {
        let [conversations, recorded, furthest] = [0, 0, 0];
        for (const { selected } of sequence(ppm, 500)) {
          conversations += 1;
          if (selected) recorded += 1;
          furthest = Math.max(furthest, Math.abs(recorded * partsPerMillion - conversations * ppm));
        }
        expect(furthest).toBeLessThanOrEqual(2 * partsPerMillion);
      }),
      { numRuns: 50 },
    );
  });

  test('the room is one conversation at 30 % and below, so any 50 in a row are within two', () => {
    const credits = [0, ...[...sequence(300_000, 5_000)].map(({ account }) => account.credit)];
    const off = credits.slice(50).map((credit, from) => Math.abs(credit - credits[from]!));
    expect(Math.max(...off)).toBeLessThanOrEqual(2 * partsPerMillion);
  });

  test('the cap on the announced share never decides', () => {
    for (const ppm of [10_000, 100_000, 300_000, 450_000, 500_000, 800_000]) {
      let account = emptyAccount;
      for (let call = 0; call < 1_000; call += 1) {
        const uniform = uniformOf(secret, `cap/${ppm}/${call}`);
        const draw = drawOne(account, terms(ppm), day, uniform);
        const free = drawOne(account, { ...terms(ppm), capPpm: partsPerMillion }, day, uniform);
        expect(draw.selected).toBe(free.selected);
        const outcome = draw.selected ? 'recorded' : 'not-recorded';
        account = settled(draw.after, draw.selected ? 'open' : 'passed', { ...terms(ppm), day }, outcome);
      }
    }
  });

  test.each([10_000, 50_000, 100_000, 200_000, 300_000, 400_000, 600_000, 700_000, 900_000])(
    'at %d parts per million, who knows everything but the key guesses at most 5 points better',
    (ppm) => {
      let account = emptyAccount;
      const guesses: { guessed: boolean; selected: boolean }[] = [];
      for (const { selected, account: after } of sequence(ppm, 20_000)) {
        guesses.push({ guessed: guess(account, terms(ppm)), selected });
        account = after;
      }
      expect(predictorAdvantage(guesses)).toBeLessThan(0.05);
    },
  );

  test('at one half nobody can do both: the advantage stays near the least that two conversations allow', () => {
    let account = emptyAccount;
    const guesses: { guessed: boolean; selected: boolean }[] = [];
    for (const { selected, account: after } of sequence(500_000, 20_000)) {
      guesses.push({ guessed: guess(account, terms(500_000)), selected });
      account = after;
    }
    expect(predictorAdvantage(guesses)).toBeLessThan(1 / 12 + 0.01);
  });
});

interface Open {
  under: DrawnUnder;
  state: 'open' | 'passed' | 'lapsed' | undefined;
}

type Event =
  | { do: 'draw'; ppm: number; uniform: number; answered: boolean }
  | { do: 'settle'; which: number; outcome: SettledOutcome }
  | { do: 'release' | 'lapse'; which: number };

/** What has really happened, beside the account. */
class World {
  account = emptyAccount;
  readonly calls: Open[] = [];
  /** Rates of all conversations that count, and what is kept of them. */
  allowed = 0;
  recorded = 0;

  do(event: Event): void {
    if (event.do === 'draw') {
      const under = { ...terms(event.ppm), day };
      const draw = drawOne(this.account, terms(event.ppm), day, event.uniform);
      this.account = draw.after;
      this.calls.push({ under, state: draw.selected ? 'open' : 'passed' });
    } else if (this.calls.length > 0) {
      const at = event.which % this.calls.length;
      const call = this.calls[at]!;
      if (event.do === 'settle') {
        this.calls.splice(at, 1);
        const outcome =
          event.outcome === 'recorded' && call.state === 'passed' ? 'not-recorded' : event.outcome;
        this.account = settled(this.account, call.state, call.under, outcome);
        if (outcome !== 'no-conversation') this.allowed += call.under.ppm;
        if (outcome === 'recorded') this.recorded += partsPerMillion;
      } else if (call.state === 'open') {
        this.account = event.do === 'lapse' ? lapsed(this.account) : released(this.account, call.under);
        call.state = event.do === 'lapse' ? 'lapsed' : 'passed';
      }
    }
  }

  /** Now, and whatever becomes of the open ones: each may be recorded, or all but one come to nothing. */
  check(): void {
    expect(this.recorded).toBeLessThanOrEqual(this.allowed + partsPerMillion);
    const open = this.calls.filter(({ state }) => state === 'open' || state === 'lapsed');
    const all = open.reduce((sum, { under }) => sum + under.ppm, 0);
    expect(this.recorded + open.length * partsPerMillion).toBeLessThanOrEqual(
      this.allowed + all + partsPerMillion,
    );
    expect(this.account.credit).toBeGreaterThanOrEqual(-partsPerMillion);
  }
}

describe('whatever happens', () => {
  test('the ceiling holds at every instant, for any interleaving', () => {
    const ppm = fc.constantFrom(0, 10_000, 250_000, 300_000, 500_000, 900_000, 1_000_000);
    const which = fc.nat(30);
    const event: fc.Arbitrary<Event> = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          do: fc.constant('draw' as const),
          ppm,
          uniform: fc.integer({ min: 0, max: uniformRange - 1 }),
          answered: fc.boolean(),
        }),
      },
      {
        weight: 5,
        arbitrary: fc.record({
          do: fc.constant('settle' as const),
          which,
          outcome: fc.constantFrom<SettledOutcome>('recorded', 'not-recorded', 'no-conversation'),
        }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('release', 'lapse'), which }) },
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (events) => {
        const world = new World();
        for (const each of events) {
          world.do(each);
          world.check();
        }
      }),
      { numRuns: 300 },
    );
  });

  test('every history of five steps of a small campaign keeps the ceiling', () => {
    const steps: Event[] = [
      { do: 'draw', ppm: 500_000, uniform: 0, answered: true },
      { do: 'draw', ppm: 500_000, uniform: uniformRange - 1, answered: true },
      { do: 'draw', ppm: 250_000, uniform: 0, answered: true },
      { do: 'settle', which: 0, outcome: 'recorded' },
      { do: 'settle', which: 0, outcome: 'not-recorded' },
      { do: 'settle', which: 1, outcome: 'no-conversation' },
      { do: 'release', which: 0 },
    ];
    let histories = 0;
    const walk = (history: readonly Event[]): void => {
      const world = new World();
      for (const event of history) world.do(event);
      world.check();
      histories += 1;
      if (history.length < 5) for (const next of steps) walk([...history, next]);
    };
    walk([]);
    expect(histories).toBe((7 ** 6 - 1) / 6);
  });

  test('a raised rate earns nothing backwards, a lowered one acts at once', () => {
    let account = emptyAccount;
    const converse = (ppm: number, calls: number): number => {
      const before = account.recorded;
      for (let call = 0; call < calls; call += 1) {
        const draw = drawOne(account, terms(ppm), day, uniformOf(secret, `${account.draws}`));
        account = settled(
          draw.after,
          draw.selected ? 'open' : 'passed',
          { ...terms(ppm), day },
          draw.selected ? 'recorded' : 'not-recorded',
        );
      }
      return account.recorded - before;
    };
    converse(10_000, 10_000);
    expect(converse(500_000, 50)).toBeLessThanOrEqual(26);
    expect(converse(20_000, 100)).toBeLessThanOrEqual(3);
  });
});
