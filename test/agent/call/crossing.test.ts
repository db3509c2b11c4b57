import { expect, test } from 'vitest';
import { anchoredCrossing } from '../../../agent/call/crossing.ts';
import { Pair } from '../../../agent/call/legs.ts';
import { enterMedia, leaveMedia } from '../../../agent/call/media-path.ts';
import type { Reoffer, ReofferAnswer } from '../../../agent/sip/leg.ts';
import type { SrtpPolicy } from '../../../media/srtp/agreement.ts';
import { SdpRefused, type Direction, type MediaSession, type MediaSide } from '../../../media/plane.ts';
import { fakeLeg } from './fake-leg.ts';

/** The least that is an offer: its name stands in its session line. */
const offering = (name: string, media = 'm=audio 4000 RTP/AVP 8'): string =>
  `v=0\r\ns=${name}\r\n${media}\r\n`;

/** A media session that only negotiates: what each side was told, and what was rolled back. */
function fakeMedia(said: Record<'caller' | 'agent', Direction> = { caller: 'sendonly', agent: 'recvonly' }) {
  const log: string[] = [];
  const nameOf = (sdp: string): string => /s=(.*)\r/u.exec(sdp)?.[1] ?? sdp;
  const side = (name: 'caller' | 'agent'): MediaSide =>
    ({
      get remoteDirection() {
        return said[name];
      },
      answer: async (offer: string, direction?: Direction, srtp?: SrtpPolicy) => {
        if (srtp !== undefined) log.push(`${name} under ${srtp}`);
        if (nameOf(offer) === 'broken') throw new SdpRefused('no-codec', 'video only');
        log.push(`${name} answers ${nameOf(offer)}${direction === undefined ? '' : ` ${direction}`}`);
        return `${name}-answer`;
      },
      offer: async (direction?: Direction, srtp?: SrtpPolicy) =>
        [`${name}-offer`, direction, srtp].filter((word) => word !== undefined).join(' '),
      accept: async (answer: string) => {
        if (nameOf(answer) === 'unusable') throw new SdpRefused('transport', 'no key');
        log.push(`${name} accepts ${nameOf(answer)}`);
      },
    }) as unknown as MediaSide;
  const media = {
    caller: side('caller'),
    agent: side('agent'),
    connect: async () => void log.push('connected'),
    snapshot: async () => ({ restore: async () => void log.push('restored') }),
  } as unknown as MediaSession;
  return { media, log, said };
}

const held: ReofferAnswer = { status: 200, sdp: 'held' };

function crossing(media: MediaSession) {
  const seen = { changed: 0, faxed: 0 };
  const cross = anchoredCrossing(media, {
    changed: async () => void seen.changed++,
    faxed: () => void seen.faxed++,
  });
  return { cross, seen };
}

test('an anchored hold crosses with our own descriptions on both sides', async () => {
  const { media, log } = fakeMedia();
  const { cross, seen } = crossing(media);
  const asked: Reoffer[] = [];
  const answer = await cross('caller', { method: 'INVITE', offer: offering('hold') }, async (reoffer) => {
    asked.push(reoffer);
    return held;
  });
  expect(answer).toMatchObject({ status: 200, sdp: 'caller-answer' });
  expect(asked).toMatchObject([{ method: 'INVITE', offer: 'agent-offer sendonly' }]);
  expect(log).toEqual(['caller answers hold', 'agent accepts held', 'caller answers hold recvonly']);
  expect(seen.changed).toBe(1);
});

test('a side that answers a hold as if there were none is not believed: the answer stays within the offer', async () => {
  const { media, log } = fakeMedia({ caller: 'sendonly', agent: 'sendrecv' });
  const { cross } = crossing(media);
  await cross('caller', { method: 'INVITE', offer: offering('hold') }, async () => held);
  expect(log.at(-1)).toBe('caller answers hold recvonly');
});

test('when the other side refuses, the media goes back to what was agreed', async () => {
  const { media, log } = fakeMedia();
  const { cross, seen } = crossing(media);
  const refused = { status: 488, sdp: undefined };
  expect(await cross('caller', { method: 'INVITE', offer: offering('new') }, async () => refused)).toEqual(
    refused,
  );
  expect(log.at(-1)).toBe('restored');
  expect(seen.changed).toBe(0);
});

test('an offer that cannot be anchored is refused and the call goes on as it was', async () => {
  const { media, log } = fakeMedia();
  const { cross } = crossing(media);
  const answer = await cross('agent', { method: 'INVITE', offer: offering('broken') }, async () => held);
  expect(answer.status).toBe(488);
  expect(log).toEqual(['restored']);
});

test('a fax crosses untouched and takes us out; one that is refused changes nothing', async () => {
  const { media, log } = fakeMedia();
  const { cross, seen } = crossing(media);
  const fax = offering('fax', 'm=image 4002 udptl t38');
  expect(
    (await cross('agent', { method: 'INVITE', offer: fax }, async () => ({ status: 488, sdp: undefined })))
      .status,
  ).toBe(488);
  expect(seen.faxed).toBe(0);
  const asked: Reoffer[] = [];
  const answer = await cross('agent', { method: 'INVITE', offer: fax }, async (reoffer) => {
    asked.push(reoffer);
    return { status: 200, sdp: 'their fax' };
  });
  expect(asked[0]?.offer).toBe(fax);
  expect(answer.sdp).toBe('their fax');
  expect(seen.faxed).toBe(1);
  expect(log).toEqual([]);
});

test('an offer among other parts of a body is replaced where it stands', async () => {
  const { media } = fakeMedia();
  const { cross } = crossing(media);
  const part = (type: string, text: string): string => `--b\r\nContent-Type: ${type}\r\n\r\n${text}\r\n`;
  const body = `${part('application/sdp', offering('x'))}${part('application/isup', 'IAM')}--b--\r\n`;
  const asked: Reoffer[] = [];
  await cross(
    'caller',
    { method: 'INVITE', offer: body, contentType: 'multipart/mixed;boundary=b' },
    async (reoffer) => {
      asked.push(reoffer);
      return held;
    },
  );
  expect(asked[0]?.contentType).toBe('multipart/mixed;boundary=b');
  expect(asked[0]?.offer).toBe(
    `${part('application/sdp', 'agent-offer sendonly')}${part('application/isup', 'IAM')}--b--\r\n`,
  );
});

test('a re-INVITE without offer asks the other side for its own, and each gets ours', async () => {
  const { media, log } = fakeMedia({ caller: 'sendrecv', agent: 'sendrecv' });
  const { cross, seen } = crossing(media);
  let acknowledged: string | undefined;
  const answer = await cross('caller', { method: 'INVITE', offer: undefined }, async () => ({
    status: 200,
    sdp: offering('theirs'),
    acknowledge: (mine) => void (acknowledged = mine),
  }));
  expect(answer).toMatchObject({ status: 200, sdp: 'caller-offer sendrecv' });
  await answer.acknowledge?.('caller-words');
  expect(log).toEqual([
    'agent answers theirs',
    'caller accepts caller-words',
    'agent answers theirs sendrecv',
  ]);
  expect(acknowledged).toBe('agent-answer');
  expect(seen.changed).toBe(1);
});

test('taking ourselves out of the media hands each party the description of the other', async () => {
  let acknowledged: string | undefined;
  const caller = fakeLeg(() => ({
    status: 200,
    sdp: 'caller-sdp',
    acknowledge: (answer) => void (acknowledged = answer),
  }));
  const agent = fakeLeg(() => ({ status: 200, sdp: 'agent-sdp' }));
  const { media } = fakeMedia();
  const pair = new Pair({ caller: caller.leg, agent: agent.leg }, crossing(media).cross);
  expect(await leaveMedia(pair, media)).toBe(true);
  expect(agent.log).toEqual(['INVITE caller-sdp']);
  expect(acknowledged).toBe('agent-sdp');
  await caller.peerOffers('raw');
  expect(agent.log.at(-1)).toBe('INVITE raw');
});

test('a party that does not let us out leaves both where they were', async () => {
  let acknowledged: string | undefined;
  const caller = fakeLeg(() => ({
    status: 200,
    sdp: offering('caller-sdp'),
    acknowledge: (answer) => void (acknowledged = answer),
  }));
  const agent = fakeLeg(() => ({ status: 488, sdp: undefined }));
  const { media } = fakeMedia();
  const pair = new Pair({ caller: caller.leg, agent: agent.leg }, crossing(media).cross);
  const before = pair.crossing;
  expect(await leaveMedia(pair, media)).toBe(false);
  expect(acknowledged).toBe('caller-answer');
  expect(pair.crossing).toBe(before);
});

const known = (name: string) => ({ local: `told to ${name}`, remote: offering(name) });

test('coming into the media asks both parties, the agent first', async () => {
  const asked: string[] = [];
  const leg = (name: string) =>
    fakeLeg(({ offer }) => {
      asked.push(`${name}: ${offer}`);
      return { status: 200, sdp: `${name}-sdp` };
    }, known(name));
  const { media } = fakeMedia({ caller: 'sendrecv', agent: 'sendrecv' });
  const pair = new Pair({ caller: leg('caller').leg, agent: leg('agent').leg }, crossing(media).cross);
  expect(await enterMedia(pair, media)).toBe(true);
  expect(asked).toEqual(['agent: agent-offer sendrecv accept', 'caller: caller-offer sendrecv accept']);
});

test('when the caller does not agree, the agent is sent back to where it was', async () => {
  const caller = fakeLeg(() => ({ status: 488, sdp: undefined }), known('caller'));
  const agent = fakeLeg(() => held, known('agent'));
  const { media } = fakeMedia();
  const pair = new Pair({ caller: caller.leg, agent: agent.leg }, crossing(media).cross);
  expect(await enterMedia(pair, media)).toBe(false);
  expect(agent.log.at(-1)).toBe('INVITE told to agent');
});

test('a call in a codec that we do not have is left alone', async () => {
  const caller = fakeLeg(() => held, { local: '', remote: offering('broken') });
  const agent = fakeLeg(() => held, known('agent'));
  const { media } = fakeMedia();
  const pair = new Pair({ caller: caller.leg, agent: agent.leg }, crossing(media).cross);
  expect(await enterMedia(pair, media)).toBe(false);
  expect([caller.log, agent.log]).toEqual([[], []]);
});

test.each([
  ['that asked the other for no key is offered one, where its peer must have it', '', 'accept', 'require'],
  ['that had a key is held to it', 'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n', 'require', undefined],
] as const)('a party %s', async (_who, key, described, offered) => {
  const agent = fakeLeg(() => held, { local: 'told', remote: `${offering('agent')}${key}` });
  const caller = fakeLeg(() => held, known('caller'));
  Object.assign(agent.leg, { peer: { srtp: 'require' } });
  Object.assign(caller.leg, { peer: { srtp: 'off' } });
  const { media, log } = fakeMedia({ caller: 'sendrecv', agent: 'sendrecv' });
  const pair = new Pair({ caller: caller.leg, agent: agent.leg }, crossing(media).cross);
  expect(await enterMedia(pair, media)).toBe(true);
  expect(log.filter((line) => line.includes('under'))).toEqual([
    'caller under off',
    `agent under ${described}`,
  ]);
  expect(agent.log).toEqual([`INVITE ${['agent-offer', 'sendrecv', offered].join(' ').trim()}`]);
});

test.each(['agent', 'caller'] as const)(
  'when the %s answers with what cannot be anchored, whoever sends to us already is sent back',
  async (unusable) => {
    const leg = (name: 'caller' | 'agent') =>
      fakeLeg(() => ({ status: 200, sdp: name === unusable ? offering('unusable') : 'words' }), known(name));
    const [caller, agent] = [leg('caller'), leg('agent')];
    const { media } = fakeMedia();
    const pair = new Pair({ caller: caller.leg, agent: agent.leg }, crossing(media).cross);
    expect(await enterMedia(pair, media)).toBe(false);
    expect(agent.log.at(-1)).toBe('INVITE told to agent');
    expect(caller.log.slice(1)).toEqual(unusable === 'caller' ? ['INVITE told to caller'] : []);
  },
);
