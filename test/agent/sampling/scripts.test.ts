/** The scripts in Redis and the account in memory on the same events: the same decisions, the same account after each. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { uniformRange, type Terms } from '../../../agent/sampling/gate.ts';
import { connect, type Connection } from '../../../agent/sampling/redis-connection.ts';
import { readAccount, termsWord } from '../../../agent/sampling/scripts.ts';
import type { SettledOutcome } from '../../../agent/sampling/sampler.ts';
import { Tally } from '../../../agent/sampling/tally.ts';
import { RedisServer } from '../../peers/redis.ts';

const leaseMs = 1_000;
const epoch = '2026-11';
const [today, tomorrow] = ['2026-11-23', '2026-11-24'];

let redis: RedisServer;
let connection: Connection;
beforeAll(async () => {
  redis = await RedisServer.start();
  connection = connect({ url: redis.url }, { hungMs: 30_000, fenceMs: 60_000 });
  await once(connection, 'ready');
});
afterAll(async () => {
  connection.disconnect();
  await redis[Symbol.asyncDispose]();
});

/** A call as both sides know it; it keeps the day and the terms of its first draw. */
interface Call extends Terms {
  call: string;
  day: string;
}

type Event =
  | ({ do: 'draw'; uniform: number; later: boolean; knowsServer: boolean } & Omit<Terms, 'capPpm'>)
  | { do: 'draw again'; which: number; uniform: number }
  | { do: 'settle'; which: number; outcome: SettledOutcome }
  | { do: 'release' | 'settle unheard'; which: number }
  | { do: 'lapse'; afterMs: number };

class Both {
  readonly campaign = randomUUID();
  readonly tally = new Tally(leaseMs);
  readonly calls: Call[] = [];
  now = Date.parse(`${today}T10:00:00Z`);
  readonly #server: string;

  constructor(server: string) {
    this.#server = server;
  }

  key(day: string): string {
    return `tacet:{${this.campaign}}:${day}`;
  }

  async draw(call: Call, uniform: number, knowsServer = true): Promise<void> {
    const terms = termsWord(call, { day: call.day, server: knowsServer ? this.#server : '' });
    const answer = await connection.tacetReserveBuffer(
      this.key(call.day),
      call.call,
      uniform,
      terms,
      `0 ${this.now}`,
    );
    const place = { ...call, campaign: this.campaign, epoch, at: this.now };
    const { selected, before } = this.tally.draw(place, call, uniform);
    const { run, ...account } = readAccount(answer);
    expect({ selected: answer.toString('latin1', 0, 1) === '1', before: account }).toEqual({
      selected,
      before,
    });
    expect(['', this.#server]).toContain(run);
  }

  async do(event: Event): Promise<void> {
    this.now += 10;
    if (event.do === 'draw') {
      const { ppm, dailyGuard } = event;
      const capPpm = Math.min(1_000_000, Math.floor(ppm * 1.5));
      const call = {
        call: randomUUID(),
        day: event.later ? tomorrow : today,
        ppm,
        capPpm,
        dailyGuard,
      };
      this.calls.push(call);
      await this.draw(call, event.uniform, event.knowsServer);
    } else if (event.do === 'lapse') {
      this.now += event.afterMs;
      const counts = await connection.tacetLapse(this.key(tomorrow), this.key(today), this.now - leaseMs);
      const { eligible, recorded, open } = this.tally.counts(this.campaign, epoch, this.now);
      expect(counts).toEqual([eligible, recorded, open]);
    } else if (event.do === 'settle unheard') {
      const call = { call: randomUUID(), day: today, ppm: 300_000, capPpm: 450_000, dailyGuard: undefined };
      this.calls.push(call);
      await this.end(call, 'not-recorded');
    } else if (this.calls.length > 0) {
      const call = this.calls[event.which % this.calls.length]!;
      if (event.do === 'draw again') await this.draw(call, event.uniform);
      else await this.end(call, event.do === 'settle' ? event.outcome : undefined);
    }
    await this.compare();
  }

  /** @param outcome undefined: released, nobody heard of it */
  async end(call: Call, outcome: SettledOutcome | undefined): Promise<void> {
    const place = { ...call, campaign: this.campaign, epoch, at: this.now };
    const words = [call.ppm, call.capPpm];
    if (outcome === undefined) {
      this.tally.apply({ step: 'release', ...place });
      await connection.tacetRelease(this.key(call.day), call.call, ...words);
    } else {
      this.tally.apply({ step: 'settle', outcome, ...place });
      await connection.tacetSettle(this.key(call.day), call.call, outcome, ...words);
    }
  }

  async compare(): Promise<void> {
    const kept = await connection.getBuffer(`tacet:{${this.campaign}}:${epoch}`);
    if (kept === null) return;
    const { run: _, ...account } = readAccount(Buffer.concat([Buffer.from('0'), kept]));
    expect(account).toEqual(this.tally.snapshot().periods[0]![1]);
  }
}

const which = fc.nat(30);
/** Anywhere, or where a chance that can occur ends. */
const uniform = fc.oneof(
  fc.integer({ min: 0, max: uniformRange - 1 }),
  fc
    .tuple(fc.constantFrom(10_000, 300_000, 500_000, 700_000), fc.constantFrom(0, 1))
    .map(([chance, beyond]) => Math.floor((chance / 1_000_000) * uniformRange) + beyond),
);
const events: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('draw' as const),
      // Few of them, so that both what changes and what stays is met.
      ppm: fc.constantFrom(0, 10_000, 300_000, 300_000, 300_000, 500_000, 700_000, 1_000_000),
      dailyGuard: fc.constantFrom(undefined, undefined, undefined, 2),
      uniform,
      later: fc.boolean(),
      knowsServer: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('draw again' as const), which, uniform }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      which,
      outcome: fc.constantFrom<SettledOutcome>('recorded', 'not-recorded', 'no-conversation'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('release' as const, 'settle unheard' as const), which }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lapse' as const), afterMs: fc.nat(2 * leaseMs) }) },
);

test('whatever happens, Redis and the memory of one process decide and count the same', async () => {
  const said = await connection.info('replication');
  const server = /master_replid:([\da-f]+)/u.exec(said)![1]!;
  await fc.assert(
    fc.asyncProperty(fc.array(events, { maxLength: 80, size: 'max' }), async (all) => {
      const both = new Both(server);
      for (const event of all) await both.do(event);
    }),
    { numRuns: 60 },
  );
});
