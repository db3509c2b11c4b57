import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChangeJournalCorrupt } from '../../../agent/campaigns/change-journal.ts';
import type { Raise } from '../../../agent/campaigns/changes.ts';
import { ChangedMeanwhile, OrderForbidden } from '../../../agent/campaigns/orders.ts';
import { freeCeiling, SiteState } from '../../../agent/campaigns/state.ts';
import { TacetError } from '../../../config/errors.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';
import { agentWith, anna, bruno, Clock, insured, raise, support } from './live-for-tests.ts';

const forbidden = (code: string): unknown => expect.objectContaining({ code });

describe('a rate that one person may set', () => {
  test('acts from the next call on, and the ledger has who, old and new', async () => {
    await using agent = await agentWith();
    const { live, entries } = agent;
    expect(live.now(support).rate).toBe(0.2);
    await live.set(anna, 'support', { rate: 0.3, dailyGuard: 50 });
    expect(live.now(support)).toMatchObject({ rate: 0.3, dailyGuard: 50 });
    expect(entries).toEqual([
      expect.objectContaining({
        version: 1,
        what: 'campaign.set',
        subject: 'support',
        by: 'anna',
        reason: 'as agreed',
        decidedAt: '2026-11-26T08:00:00.000Z',
        from: {},
        to: { rate: 0.3, dailyGuard: 50 },
      }),
    ]);
  });

  test('a campaign that did not change is the same object, so that its law stays known', async () => {
    await using agent = await agentWith();
    const before = agent.live.now(support);
    expect(agent.live.now(support)).toBe(before);
    await agent.live.set(anna, 'support', { rate: 0.1 });
    expect(agent.live.now(support)).not.toBe(before);
  });

  test('above 30 %, or above what the file says, it must be proposed', async () => {
    await using agent = await agentWith();
    await expect(agent.live.set(anna, 'support', { rate: 0.31 })).rejects.toEqual(
      forbidden('needs-approval'),
    );
    await expect(agent.live.set(anna, 'insured', { rate: 0.51 })).rejects.toEqual(
      forbidden('needs-approval'),
    );
    await agent.live.set(anna, 'insured', { rate: 0.5 });
    expect(agent.live.history).toHaveLength(1);
  });

  test('two who change the same version: the second is told', async () => {
    await using agent = await agentWith();
    await agent.live.set(anna, 'support', { rate: 0.1 }, 0);
    await expect(agent.live.set(bruno, 'support', { rate: 0.3 }, 0)).rejects.toEqual(
      expect.objectContaining({ version: 1 }),
    );
    await expect(agent.live.set(bruno, 'support', { rate: 0.3 }, 0)).rejects.toThrow(ChangedMeanwhile);
    // Another campaign's change is not in the way.
    await agent.live.set(bruno, 'insured', { rate: 0.4 }, 0);
    await agent.live.set(bruno, 'support', { rate: 0.3 }, 1);
    expect(agent.live.now(support).rate).toBe(0.3);
  });

  test('reset: as the file says', async () => {
    await using agent = await agentWith();
    await agent.live.set(anna, 'support', { rate: 0.1 });
    await agent.live.reset(anna, 'support');
    expect(agent.live.now(support).rate).toBe(0.2);
  });
});

describe('a rate above that', () => {
  test('needs a second person, holds until its end, and falls back by itself with one entry', async () => {
    const clock = new Clock();
    await using agent = await agentWith({ clock });
    const { live, entries } = agent;
    const id = await live.propose(anna, raise);
    expect(live.now(support).rate).toBe(0.2);
    await expect(live.decide(anna, id, true)).rejects.toEqual(forbidden('same-person'));
    await live.decide(bruno, id, true);
    expect(live.now(support)).toMatchObject({ rate: 0.6, necessity: raise.justification });
    clock.pass(29.5);
    expect(live.now(support).rate).toBe(0.6);
    clock.pass(1);
    // By the clock alone, before anybody has written it down.
    expect(live.now(support).rate).toBe(0.2);
    await Promise.all([live.look(), live.look()]);
    await live.look();
    expect(entries.map(({ what, by }) => [what, by])).toEqual([
      ['raise.proposed', 'anna'],
      ['raise.approved', 'bruno'],
      ['raise.expired', 'tacet'],
    ]);
    expect(entries[1]).toMatchObject({
      subject: 'support',
      proposedBy: 'anna',
      to: { proposal: id, rate: 0.6, until: raise.until },
    });
    expect(live.state.proposal(id)).toMatchObject({ state: 'expired', decidedBy: 'bruno' });
  });

  test.each<[code: string, changed: Partial<Raise>]>([
    ['not-above', { rate: 0.3 }],
    ['needs-legal-text', { rate: 1 }],
    ['past', { until: '2026-11-26T08:00:00.000Z' }],
    ['other-purpose', { purpose: 'complaint' }],
    ['unknown-campaign', { campaign: 'nobody' }],
  ])('refused as %s', async (code, changed) => {
    await using agent = await agentWith();
    await expect(agent.live.propose(anna, { ...raise, ...changed })).rejects.toEqual(forbidden(code));
    expect(agent.live.history).toEqual([]);
  });

  test('every conversation: with a text that orders it, or in class "mandated"', async () => {
    await using agent = await agentWith();
    const id = await agent.live.propose(anna, { ...raise, rate: 1, legalText: 'a text' });
    await agent.live.decide(bruno, id, true);
    expect(agent.live.now(support)).toMatchObject({ rate: 1, legalText: 'a text' });
    await agent.live.propose(anna, {
      ...raise,
      campaign: 'insured',
      rate: 1,
      purpose: insured.purpose,
    });
  });

  test('refused, or too late, it changes nothing; what is decided stays decided', async () => {
    const clock = new Clock();
    await using agent = await agentWith({ clock });
    const { live } = agent;
    const refused = await live.propose(anna, raise);
    await live.decide(bruno, refused, false);
    await expect(live.decide(bruno, refused, true)).rejects.toEqual(forbidden('already-decided'));
    const late = await live.propose(anna, raise);
    clock.pass(40);
    await expect(live.decide(bruno, late, true)).rejects.toEqual(forbidden('past'));
    await live.look();
    expect(live.state.proposal(late)?.state).toBe('expired');
    expect(live.now(support).rate).toBe(0.2);
    await expect(live.decide(bruno, 'none', true)).rejects.toEqual(forbidden('unknown-proposal'));
  });

  test('a rate that is set meanwhile ends it: it is not taken up again', async () => {
    await using agent = await agentWith();
    const { live } = agent;
    const id = await live.propose(anna, raise);
    await live.decide(bruno, id, true);
    await live.set(anna, 'support', { rate: 0.1 });
    expect(live.now(support).rate).toBe(0.1);
    expect(live.state.proposal(id)?.state).toBe('ended');
  });
});

describe('stop switches', () => {
  test('one campaign, one site, everything; until resumed or until their time', async () => {
    const clock = new Clock();
    await using agent = await agentWith({ clock });
    const { live } = agent;
    const one = await live.stop(anna, { of: 'campaign', campaign: 'support' });
    expect([live.stopOf('support')?.id, live.stopOf('insured')]).toEqual([one, undefined]);
    await live.stop(anna, { of: 'site', site: 'lyon' });
    expect(live.stopOf('insured')).toBeUndefined();
    await live.resume(bruno, one);
    expect(live.stopOf('support')).toBeUndefined();
    await live.stop(anna, { of: 'everything' }, new Date(clock.now.getTime() + 60_000));
    expect(live.stopOf('insured')?.by).toBe('anna');
    clock.pass(1);
    expect(live.stopOf('insured')).toBeUndefined();
    await expect(live.resume(bruno, one)).rejects.toEqual(forbidden('unknown-stop'));
  });
});

describe('objections', () => {
  test('are known by number and purpose, however the number is written, and hold nothing of it', async () => {
    await using agent = await agentWith();
    const { live } = agent;
    await live.object(anna, '+33 6 12 34 56 78', 'training');
    expect(live.state.objects('0033612345678', 'training')).toBe(true);
    expect(live.state.objects('+33612345678', 'complaint')).toBe(false);
    expect(live.state.objects('+33612345679', 'training')).toBe(false);
    await live.object(anna, '+33612345679');
    expect(live.state.objects('+33612345679', 'complaint')).toBe(true);
    expect(JSON.stringify([live.history, agent.entries])).not.toMatch(/612 ?34/u);
    await live.liftObjection(anna, '+33612345678', 'training');
    expect(live.state.objects('+33612345678', 'training')).toBe(false);
    await expect(live.liftObjection(anna, '+33612345678', 'training')).rejects.toThrow(OrderForbidden);
  });
});

describe('over a restart', () => {
  test('what was changed stands, and what the ledger could not take is told again', async () => {
    await using home = await temporaryFolder('campaigns');
    let full = false;
    const options = { folder: join(home.path, 'live'), refuseEntries: () => full };
    {
      await using agent = await agentWith(options);
      await agent.live.set(anna, 'support', { rate: 0.1 });
      full = true;
      await agent.live.stop(anna, { of: 'everything' });
      expect(agent.entries).toHaveLength(1);
    }
    full = false;
    await using again = await agentWith(options);
    await again.live.tell();
    expect(again.live.now(support).rate).toBe(0.1);
    expect(again.live.stopOf('support')?.by).toBe('anna');
    expect(again.entries.map(({ version, what }) => [version, what])).toEqual([[2, 'stopped']]);
  });

  test('a raise that ended while nobody ran is written down once', async () => {
    await using home = await temporaryFolder('campaigns');
    const clock = new Clock();
    const options = { folder: join(home.path, 'live'), clock };
    {
      await using agent = await agentWith(options);
      await agent.live.decide(bruno, await agent.live.propose(anna, raise), true);
    }
    clock.pass(60);
    await using again = await agentWith(options);
    expect(again.live.now(support).rate).toBe(0.2);
    await again.live.look();
    await again.live.look();
    expect(again.entries.map(({ what }) => what)).toEqual(['raise.expired']);
  });

  test('a damaged journal is no journal', async () => {
    await using home = await temporaryFolder('campaigns');
    const folder = join(home.path, 'live');
    {
      await using agent = await agentWith({ folder });
      await agent.live.set(anna, 'support', { rate: 0.1 });
    }
    await appendFile(join(folder, 'changes.journal'), '{"change":{"id":"x"}}\n');
    await expect(agentWith({ folder })).rejects.toThrow(ChangeJournalCorrupt);
  });
});

const people = fc.constantFrom('anna', 'bruno', 'carla');
const rates = fc.constantFrom(0, 0.1, 0.3, 0.31, 0.5, 0.7, 1);
const step = fc.oneof(
  fc.record({ do: fc.constant('set' as const), by: people, rate: rates }),
  fc.record({
    do: fc.constant('propose' as const),
    by: people,
    rate: rates,
    days: fc.integer({ min: 0, max: 5 }),
  }),
  fc.record({ do: fc.constant('decide' as const), by: people, which: fc.nat(5), yes: fc.boolean() }),
  fc.record({ do: fc.constant('reset' as const), by: people }),
  fc.record({ do: fc.constant('pass' as const), days: fc.constantFrom(0.5, 1, 3) }),
  fc.record({ do: fc.constant('look' as const) }),
);

/** What two different persons agreed on and has not ended: the greatest rate that may hold, beside what one may set. */
interface Agreed {
  rate: number;
  until: number;
}

test('whatever is ordered by whom and when, no rate is above what was approved, and the history replays to the state', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const clock = new Clock();
      await using agent = await agentWith({ clock });
      const { live } = agent;
      const agreed: Agreed[] = [];
      const proposals: { id: string; by: string; rate: number; until: number }[] = [];
      const attempt = (order: Promise<unknown>): Promise<boolean> =>
        order.then(
          () => true,
          (error: unknown) => {
            if (error instanceof TacetError) return false;
            throw error;
          },
        );
      for (const each of steps) {
        switch (each.do) {
          case 'set':
            await attempt(live.set({ by: each.by }, 'support', { rate: each.rate }));
            break;
          case 'propose': {
            const until = clock.now.getTime() + each.days * 86_400_000;
            const wanted = { ...raise, rate: each.rate, until: new Date(until).toISOString() };
            await attempt(
              live
                .propose({ by: each.by }, wanted)
                .then((id) => proposals.push({ id, by: each.by, rate: each.rate, until })),
            );
            break;
          }
          case 'decide': {
            const proposal = proposals[each.which];
            if (proposal === undefined) break;
            const done = await attempt(live.decide({ by: each.by }, proposal.id, each.yes));
            if (done && each.yes) {
              expect(each.by).not.toBe(proposal.by);
              agreed.push(proposal);
            }
            break;
          }
          case 'reset':
            await attempt(live.reset({ by: each.by }, 'support'));
            break;
          case 'pass':
            clock.pass(each.days);
            break;
          case 'look':
            await live.look();
        }
        const now = clock.now.getTime();
        const ceiling = Math.max(
          freeCeiling(support),
          ...agreed.filter(({ until }) => now < until).map(({ rate }) => rate),
        );
        expect(live.now(support).rate).toBeLessThanOrEqual(ceiling);
        expect(live.now(support).rate).toBeLessThan(1);
      }
      expect(SiteState.of(live.history)).toEqual(live.state);
      expect(agent.entries.map(({ version }) => version)).toEqual(live.history.map((_, index) => index + 1));
    }),
    { numRuns: 60 },
  );
});
