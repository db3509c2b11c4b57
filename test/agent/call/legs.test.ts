import fc from 'fast-check';
import { expect, test } from 'vitest';
import { directCrossing } from '../../../agent/call/crossing.ts';
import { Pair, type Legs, type PairEnd } from '../../../agent/call/legs.ts';
import { fakeLeg } from './fake-leg.ts';
import type { ReofferAnswer } from '../../../agent/sip/leg.ts';

const never = new AbortController().signal;

function carry(legs: Legs, limit: AbortSignal = never): Promise<PairEnd> {
  return new Pair(legs, directCrossing).carry(limit);
}

test('a BYE from one side ends the other with its reason', async () => {
  const [caller, agent] = [fakeLeg(), fakeLeg()];
  const carrying = carry({ caller: caller.leg, agent: agent.leg });
  caller.peerHangsUp('Q.850;cause=16');
  expect(await carrying).toEqual({ by: 'caller', reason: 'Q.850;cause=16' });
  expect(agent.log).toEqual(['BYE Q.850;cause=16']);
});

test('our own limit ends both sides', async () => {
  const [caller, agent] = [fakeLeg(), fakeLeg()];
  const limit = new AbortController();
  const carrying = carry({ caller: caller.leg, agent: agent.leg }, limit.signal);
  limit.abort();
  expect((await carrying).by).toBe('tacet');
  expect([caller.log, agent.log]).toEqual([['BYE'], ['BYE']]);
});

test('of two offers that cross, the second is asked to wait', async () => {
  const held = Promise.withResolvers<ReofferAnswer>();
  const [caller, agent] = [fakeLeg(), fakeLeg(() => held.promise)];
  const carrying = carry({ caller: caller.leg, agent: agent.leg });
  const first = caller.peerOffers('hold');
  expect((await agent.peerOffers('mine')).status).toBe(491);
  held.resolve({ status: 200, sdp: 'held' });
  expect(await first).toEqual({ status: 200, sdp: 'held' });
  expect((await agent.peerOffers('mine')).status).toBe(200);
  caller.peerHangsUp();
  await carrying;
});

test('a rejected re-INVITE does not stand in the way of the next one', async () => {
  const answers = [488, 200];
  const [caller, agent] = [fakeLeg(), fakeLeg(() => ({ status: answers.shift()!, sdp: undefined }))];
  const carrying = carry({ caller: caller.leg, agent: agent.leg });
  expect((await caller.peerOffers('one')).status).toBe(488);
  expect((await caller.peerOffers('two')).status).toBe(200);
  caller.peerHangsUp();
  await carrying;
});

test('requests within the dialog are handed through', async () => {
  const [caller, agent] = [fakeLeg(), fakeLeg()];
  const carrying = carry({ caller: caller.leg, agent: agent.leg });
  expect(await caller.peerRequests('INFO')).toMatchObject({ status: 200 });
  expect(await agent.peerRequests('MESSAGE')).toMatchObject({ status: 200 });
  expect(agent.log).toEqual(['INFO']);
  expect(caller.log).toEqual(['MESSAGE']);
  caller.peerHangsUp();
  await carrying;
});

test('a request within the dialog brings back what the other side said to it', async () => {
  const [caller, agent] = [fakeLeg(), fakeLeg()];
  const carrying = carry({ caller: caller.leg, agent: agent.leg });
  expect(await caller.peerRequests('INFO', 'question')).toEqual({ status: 200, body: 'answer to question' });
  caller.peerHangsUp();
  await carrying;
});

test('our own negotiation waits for the one that is open, and the far ends wait for ours', async () => {
  const held = Promise.withResolvers<ReofferAnswer>();
  const [caller, agent] = [fakeLeg(), fakeLeg(() => held.promise)];
  const pair = new Pair({ caller: caller.leg, agent: agent.leg }, directCrossing);
  const theirs = caller.peerOffers('hold');
  const ours = Promise.withResolvers<string>();
  const order: string[] = [];
  const own = pair.inTurn(async () => {
    order.push('ours');
    return await ours.promise;
  });
  held.resolve({ status: 200, sdp: 'held' });
  await theirs.then(() => order.push('theirs'));
  await Promise.resolve();
  expect((await agent.peerOffers('mine')).status).toBe(491);
  ours.resolve('done');
  expect(await own).toBe('done');
  expect(order.sort()).toEqual(['ours', 'theirs']);
  expect((await caller.peerOffers('resume')).status).toBe(200);
});

test('an offer of ours that meets one of the far end is made again, and given up after the fourth', async () => {
  const answers = [491, 491, 200];
  const agent = fakeLeg(() => ({ status: answers.shift() ?? 491, sdp: undefined }));
  const pair = new Pair({ caller: fakeLeg().leg, agent: agent.leg }, directCrossing);
  expect((await pair.insist('agent', { method: 'INVITE', offer: 'x' })).status).toBe(200);
  expect(agent.log).toHaveLength(3);
  expect((await pair.insist('agent', { method: 'INVITE', offer: 'x' })).status).toBe(491);
  expect(agent.log).toHaveLength(7);
});

test('a turn lasts until the answer in the ACK is there: no offer crosses it', async () => {
  let acknowledged: string | undefined;
  const agent = fakeLeg(() => ({
    status: 200,
    sdp: 'their offer',
    acknowledge: (answer) => void (acknowledged = answer),
  }));
  const caller = fakeLeg();
  new Pair({ caller: caller.leg, agent: agent.leg }, directCrossing);
  const answer = await caller.peerOffers(undefined);
  expect(answer.sdp).toBe('their offer');
  expect((await agent.peerOffers('mine')).status).toBe(491);
  await answer.acknowledge?.('my answer');
  expect(acknowledged).toBe('my answer');
  await new Promise(setImmediate);
  expect((await agent.peerOffers('mine')).status).toBe(200);
});

test('another leg in a side’s place takes part in everything, and the one that left ends nothing', async () => {
  const [caller, agent, third] = [fakeLeg(), fakeLeg(), fakeLeg()];
  const pair = new Pair({ caller: caller.leg, agent: agent.leg }, directCrossing);
  const carrying = pair.carry(never);
  pair.replace('agent', third.leg);
  agent.peerHangsUp();
  await caller.peerOffers('hold');
  expect(third.log).toEqual(['INVITE hold']);
  third.peerHangsUp('Q.850;cause=16');
  expect(await carrying).toEqual({ by: 'agent', reason: 'Q.850;cause=16' });
});

test('whoever offers anew the moment it has answered is no glare: it waits until the other side knows', async () => {
  const settling = Promise.withResolvers<undefined>();
  const [caller, agent] = [fakeLeg(), fakeLeg()];
  const pair = new Pair({ caller: caller.leg, agent: agent.leg }, async (_from, reoffer, ask) => {
    const answer = await ask(reoffer);
    await settling.promise;
    return answer;
  });
  const hold = caller.peerOffers('hold');
  await new Promise(setImmediate);
  const mine = agent.peerOffers('mine');
  settling.resolve(undefined);
  expect((await hold).status).toBe(200);
  expect((await mine).status).toBe(200);
  pair.crossing = directCrossing;
});

test('for any order of offers from both sides, answers and refusals: each gets its answer and the pair is free again', async () => {
  const offer = fc.record({
    side: fc.constantFrom('caller', 'agent'),
    status: fc.constantFrom(200, 488, 491),
    offerless: fc.boolean(),
    turns: fc.nat(3),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(offer, { maxLength: 12 }), async (offers) => {
      const statuses: number[] = [];
      const answer = async (): Promise<ReofferAnswer> => {
        await new Promise(setImmediate);
        const status = statuses.shift() ?? 200;
        return { status, sdp: status === 200 ? 'answer' : undefined };
      };
      const [caller, agent] = [fakeLeg(answer), fakeLeg(answer)];
      new Pair({ caller: caller.leg, agent: agent.leg }, directCrossing);
      const open: Promise<ReofferAnswer>[] = [];
      for (const { side, status, offerless, turns } of offers) {
        statuses.push(status);
        open.push((side === 'caller' ? caller : agent).peerOffers(offerless ? undefined : 'offer'));
        for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      }
      for (const each of await Promise.all(open)) expect([200, 488, 491]).toContain(each.status);
      statuses.length = 0;
      expect((await caller.peerOffers('after all')).status).toBe(200);
    }),
    { numRuns: 200 },
  );
});

test('while one side is about to be replaced its hang-up is not the end; when nobody comes, it is', async () => {
  const [caller, agent, other] = [fakeLeg(), fakeLeg(), fakeLeg()];
  const pair = new Pair({ caller: caller.leg, agent: agent.leg }, directCrossing);
  const carrying = pair.carry(never);
  const first = pair.leaves('agent');
  agent.peerHangsUp();
  pair.replace('agent', other.leg);
  first[Symbol.dispose]();
  const second = pair.leaves('agent');
  other.peerHangsUp('Q.850;cause=16');
  await new Promise(setImmediate);
  expect(caller.log).toEqual([]);
  second[Symbol.dispose]();
  expect(await carrying).toEqual({ by: 'agent', reason: 'Q.850;cause=16' });
  expect(caller.log).toEqual(['BYE Q.850;cause=16']);
});

test('a leg that goes on in another call is not hung up with the pair that it leaves', async () => {
  const [caller, agent] = [fakeLeg(), fakeLeg()];
  const pair = new Pair({ caller: caller.leg, agent: agent.leg }, directCrossing);
  const carrying = pair.carry(never);
  pair.release('caller');
  expect(await carrying).toEqual({ by: 'agent', reason: undefined });
  expect([caller.log, agent.log]).toEqual([['moved'], ['BYE']]);
});
