import { expect, test } from 'vitest';
import { anchoredCrossing, carryLegs, directCrossing, releaseMedia } from '../../../agent/call/legs.ts';
import type { InDialogRequest, Leg, LegEnd, Reoffer, ReofferAnswer } from '../../../agent/sip/leg.ts';
import { SdpRefused, type Direction, type MediaSession, type MediaSide } from '../../../media/plane.ts';

/** A leg whose far end is played by the test. */
function fakeLeg(
  answers: (reoffer: Reoffer) => Promise<ReofferAnswer> | ReofferAnswer = () => ({
    status: 200,
    sdp: 'answer',
  }),
) {
  const ended = new AbortController();
  const log: string[] = [];
  let reoffered: (reoffer: Reoffer) => Promise<ReofferAnswer> = () =>
    Promise.reject(new Error('not bridged'));
  let requested: (request: InDialogRequest) => Promise<number> = () =>
    Promise.reject(new Error('not bridged'));
  const leg = {
    ended: ended.signal,
    reoffer: async (reoffer: Reoffer) => {
      log.push(`${reoffer.method} ${reoffer.offer ?? 'offerless'}`);
      return answers(reoffer);
    },
    onReoffer: (handler: typeof reoffered) => void (reoffered = handler),
    onRequest: (handler: typeof requested) => void (requested = handler),
    request: async ({ method }: InDialogRequest) => {
      log.push(method);
      return 200;
    },
    hangUp: async (reason?: string) => {
      if (ended.signal.aborted) return;
      log.push(`BYE ${reason ?? ''}`.trim());
      ended.abort({ by: 'tacet', reason } satisfies LegEnd);
    },
  } as unknown as Leg;
  return {
    leg,
    log,
    peerOffers: (offer: string | undefined, method: Reoffer['method'] = 'INVITE') =>
      reoffered({ method, offer }),
    peerRequests: (method: InDialogRequest['method']) => requested({ method, headers: {}, body: undefined }),
    peerHangsUp: (reason?: string) => ended.abort({ by: 'peer', reason } satisfies LegEnd),
  };
}

const never = new AbortController().signal;

test('a BYE from one side ends the other with its reason', async () => {
  const [caller, agent] = [fakeLeg(), fakeLeg()];
  const carrying = carryLegs({ caller: caller.leg, agent: agent.leg }, directCrossing, never);
  caller.peerHangsUp('Q.850;cause=16');
  expect(await carrying).toEqual({ by: 'caller', reason: 'Q.850;cause=16' });
  expect(agent.log).toEqual(['BYE Q.850;cause=16']);
});

test('our own limit ends both sides', async () => {
  const [caller, agent] = [fakeLeg(), fakeLeg()];
  const limit = new AbortController();
  const carrying = carryLegs({ caller: caller.leg, agent: agent.leg }, directCrossing, limit.signal);
  limit.abort();
  expect((await carrying).by).toBe('tacet');
  expect([caller.log, agent.log]).toEqual([['BYE'], ['BYE']]);
});

test('of two offers that cross, the second is asked to wait', async () => {
  const held = Promise.withResolvers<ReofferAnswer>();
  const [caller, agent] = [fakeLeg(), fakeLeg(() => held.promise)];
  const carrying = carryLegs({ caller: caller.leg, agent: agent.leg }, directCrossing, never);
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
  const carrying = carryLegs({ caller: caller.leg, agent: agent.leg }, directCrossing, never);
  expect((await caller.peerOffers('one')).status).toBe(488);
  expect((await caller.peerOffers('two')).status).toBe(200);
  caller.peerHangsUp();
  await carrying;
});

test('requests within the dialog are handed through', async () => {
  const [caller, agent] = [fakeLeg(), fakeLeg()];
  const carrying = carryLegs({ caller: caller.leg, agent: agent.leg }, directCrossing, never);
  expect(await caller.peerRequests('INFO')).toBe(200);
  expect(await agent.peerRequests('MESSAGE')).toBe(200);
  expect(agent.log).toEqual(['INFO']);
  expect(caller.log).toEqual(['MESSAGE']);
  caller.peerHangsUp();
  await carrying;
});

/** A media session that only negotiates: what each side was told, and what was rolled back. */
function fakeMedia() {
  const log: string[] = [];
  const side = (name: string, remoteDirection: Direction): MediaSide =>
    ({
      remoteDirection,
      answer: async (offer: string, direction?: Direction) => {
        if (offer === 'broken') throw new SdpRefused('no-codec', 'video only');
        log.push(`${name} answers ${offer}${direction === undefined ? '' : ` ${direction}`}`);
        return `${name}-answer`;
      },
      offer: async (direction?: Direction) => `${name}-offer ${direction ?? ''}`.trim(),
      accept: async (answer: string) => void log.push(`${name} accepts ${answer}`),
    }) as unknown as MediaSide;
  const media = {
    caller: side('caller', 'sendonly'),
    agent: side('agent', 'recvonly'),
    snapshot: async () => ({ restore: async () => void log.push('restored') }),
  } as unknown as MediaSession;
  return { media, log };
}

test('an anchored hold crosses with our own descriptions on both sides', async () => {
  const { media, log } = fakeMedia();
  let changed = 0;
  const cross = anchoredCrossing(media, async () => void changed++);
  const asked: Reoffer[] = [];
  const answer = await cross('caller', { method: 'INVITE', offer: 'hold' }, async (reoffer) => {
    asked.push(reoffer);
    return { status: 200, sdp: 'held' };
  });
  expect(answer).toEqual({ status: 200, sdp: 'caller-answer' });
  expect(asked).toEqual([{ method: 'INVITE', offer: 'agent-offer sendonly' }]);
  expect(log).toEqual(['caller answers hold', 'agent accepts held', 'caller answers hold recvonly']);
  expect(changed).toBe(1);
});

test('when the other side refuses, the media goes back to what was agreed', async () => {
  const { media, log } = fakeMedia();
  const cross = anchoredCrossing(media, async () => undefined);
  const refused = { status: 488, sdp: undefined };
  expect(await cross('caller', { method: 'INVITE', offer: 'new' }, async () => refused)).toEqual(refused);
  expect(log.at(-1)).toBe('restored');
});

test('an offer that cannot be anchored is refused and the call goes on as it was', async () => {
  const { media, log } = fakeMedia();
  const cross = anchoredCrossing(media, async () => undefined);
  const answer = await cross('agent', { method: 'INVITE', offer: 'broken' }, async () => ({
    status: 200,
    sdp: undefined,
  }));
  expect(answer.status).toBe(488);
  expect(log).toEqual(['restored']);
});

test('taking ourselves out of the media hands each party the description of the other', async () => {
  let acknowledged: string | undefined;
  const caller = fakeLeg(() => ({
    status: 200,
    sdp: 'caller-sdp',
    acknowledge: (answer) => (acknowledged = answer),
  }));
  const agent = fakeLeg(() => ({ status: 200, sdp: 'agent-sdp' }));
  expect(await releaseMedia({ caller: caller.leg, agent: agent.leg })).toBe(true);
  expect(agent.log).toEqual(['INVITE caller-sdp']);
  expect(acknowledged).toBe('agent-sdp');
});
