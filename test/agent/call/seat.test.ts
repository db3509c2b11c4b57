import { expect, test } from 'vitest';
import type { Arrival } from '../../../agent/call/arrivals.ts';
import { directCrossing } from '../../../agent/call/crossing.ts';
import { Pair } from '../../../agent/call/legs.ts';
import { callingIn, comingFrom } from '../../../agent/call/newcomer.ts';
import { seatAnchored, seatDirect } from '../../../agent/call/seat.ts';
import type { Invite } from '../../../agent/sip/invite.ts';
import { SdpRefused, type MediaSession } from '../../../media/plane.ts';
import { fakeLeg } from './fake-leg.ts';

const never = new AbortController().signal;
const facts = { number: '+33700000007', party: 'p', refused: false };

function arrivalOf(newcomer: Arrival['newcomer']): Arrival {
  return { side: 'agent', by: 'transfer', newcomer, progress: async () => undefined };
}

/** A call of which the caller's leg is to go on in another one. */
function otherCall(answers?: Parameters<typeof fakeLeg>[0]) {
  const moving = fakeLeg(answers, { local: 'told before', remote: 'said before' });
  const asker = fakeLeg();
  return { moving, asker, pair: new Pair({ caller: moving.leg, agent: asker.leg }, directCrossing) };
}

test('a party of another call whose answer cannot be anchored goes back to that call, and nothing has changed here', async () => {
  const { moving, asker, pair } = otherCall();
  const log: string[] = [];
  const media = {
    snapshot: async () => ({ restore: async () => void log.push('restored') }),
    agent: {
      offer: async () => 'our offer',
      accept: async () => {
        throw new SdpRefused('no-codec', 'GSM');
      },
    },
  } as unknown as MediaSession;
  const seating = await seatAnchored(
    media,
    arrivalOf(comingFrom(pair, 'caller', facts)),
    never,
    async () => void log.push('silent'),
  );
  expect(seating).toMatchObject({ seated: false, status: 488 });
  expect(moving.log).toEqual(['INVITE our offer', 'INVITE told before']);
  expect([log, asker.log]).toEqual([['silent', 'restored'], []]);
});

test('a party that does not take to the newcomer keeps whom it had, and so does the newcomer', async () => {
  const acknowledged: (string | undefined)[] = [];
  const { moving, pair: theirs } = otherCall(() => ({
    status: 200,
    sdp: 'its offer',
    acknowledge: (answer) => void acknowledged.push(answer),
  }));
  const [caller, agent] = [fakeLeg(() => ({ status: 488, sdp: undefined })), fakeLeg()];
  const pair = new Pair({ caller: caller.leg, agent: agent.leg }, directCrossing);
  const seating = await seatDirect(pair, arrivalOf(comingFrom(theirs, 'caller', facts)), never);
  expect(seating).toMatchObject({ seated: false, status: 488 });
  expect([caller.log, moving.log]).toEqual([['INVITE its offer'], ['INVITE offerless']]);
  expect(acknowledged).toEqual(['told before']);
});

test('a party is sent back to whom it had when the one who wanted in gives up before the answer', async () => {
  const over = new AbortController();
  const invite = {
    from: { kind: 'pbx', srtp: 'accept' },
    caller: '208',
    body: 'its offer',
    contentType: 'application/sdp',
    cancelled: over.signal,
    answer: async () => {
      over.abort();
      throw new Error('cancelled');
    },
  } as unknown as Invite;
  const caller = fakeLeg(undefined, { local: 'told before', remote: 'said before' });
  const pair = new Pair({ caller: caller.leg, agent: fakeLeg().leg }, directCrossing);
  const seating = await seatDirect(
    pair,
    arrivalOf(callingIn(invite, { pseudonym: (number) => number })),
    never,
  );
  expect(seating).toMatchObject({ seated: false, status: 487 });
  expect(caller.log).toEqual(['INVITE its offer', 'INVITE told before']);
});
