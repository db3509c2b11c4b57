/** Who may come into a call, and how media is agreed with each: called by us, calling in, or already in another call of ours. */
import type { Side } from '../../config/units.ts';
import { InviteCancelled, type Invite } from '../sip/invite.ts';
import type { Leg } from '../sip/leg.ts';
import type { Peer } from '../sip/peers.ts';
import type { Unseated } from './arrivals.ts';
import type { House } from './house.ts';
import type { Pair } from './legs.ts';

export type Answering = { kind: 'answered'; sdp: string; leg: Leg } | ({ kind: 'failed' } & Unseated);

export type Offering =
  | {
      kind: 'offered';
      sdp: string;
      contentType?: string | undefined;
      /** Gives it the answer; its leg, or undefined when it has gone meanwhile. */
      accept: (answer: string) => Promise<Leg | undefined>;
      /** Nothing comes of its offer. */
      decline: () => Promise<void>;
    }
  | ({ kind: 'failed' } & Unseated);

export interface Newcomer {
  /** What the law knows it by; empty where nobody says. */
  readonly number: string;
  /** What the ledger knows it by. */
  readonly party: string;
  readonly peer: Peer;
  /** Whether it said no to a recording in the call that it comes from: that counts until it hangs up (I2). */
  readonly refused: boolean;
  /** Whether it has made its offer already, waits for one, or does as it is asked. */
  readonly speaks: 'offers' | 'answers' | 'either';
  /** Answers our offer. Aborting `over` lets go of one who has not answered yet. */
  answer(offer: string, over: AbortSignal): Promise<Answering>;
  /** Makes the offer (RFC 3725 section 4.1). */
  offer(over: AbortSignal): Promise<Offering>;
  /** It has its new place: what it left behind ends. */
  arrived(): void;
  /** Nothing comes of it although media was agreed: whoever has only this call is hung up, whoever had another goes back to it. */
  sendAway(leg: Leg): Promise<void>;
}

const failed = (status: number, reason: string): { kind: 'failed' } & Unseated => ({
  kind: 'failed',
  seated: false,
  status,
  reason,
});

/** The target of a REFER, called by us in the name of the call that it comes into. */
export function calledIn(
  target: { number: string; peer: Peer; invite: Invite; headers: Record<string, string> },
  { edge, config, pseudonym }: Pick<House, 'edge' | 'config' | 'pseudonym'>,
): Newcomer {
  const { number, peer, invite, headers } = target;
  const dial = (sdp: string | undefined, over: AbortSignal): ReturnType<typeof edge.dial> => {
    const ringing = AbortSignal.timeout(config.sip.answerTimeoutSeconds * 1_000);
    return edge.dial({ to: peer, invite, sdp, called: number, headers }, AbortSignal.any([over, ringing]));
  };
  return {
    number,
    party: pseudonym(number),
    peer,
    refused: false,
    speaks: 'either',
    async answer(offer, over) {
      const dialled = await dial(offer, over);
      if (dialled.kind === 'answered') return dialled;
      return dialled.kind === 'failed'
        ? failed(dialled.status, dialled.reason)
        : failed(487, 'Request Terminated');
    },
    async offer(over) {
      const dialled = await dial(undefined, over);
      if (dialled.kind === 'offered') return { ...dialled, decline: dialled.release };
      return dialled.kind === 'failed'
        ? failed(dialled.status, dialled.reason)
        : failed(487, 'Request Terminated');
    },
    arrived: () => undefined,
    sendAway: (leg) => leg.hangUp('SIP;cause=488'),
  };
}

/** Who calls in with an INVITE that has Replaces (RFC 3891). */
export function callingIn(invite: Invite, { pseudonym }: Pick<House, 'pseudonym'>): Newcomer {
  const { from, body, contentType } = invite;
  const cancelled = failed(487, 'Request Terminated');
  return {
    number: invite.caller,
    party: pseudonym(invite.caller),
    peer: from,
    refused: false,
    speaks: body === undefined ? 'answers' : 'offers',
    async answer(offer) {
      const leg = await answerUnlessCancelled(invite, offer);
      if (leg === undefined) return cancelled;
      const sdp = await leg.answerInAck();
      if (sdp !== undefined) return { kind: 'answered', sdp, leg };
      await leg.hangUp('SIP;cause=488;text="No usable answer in the ACK"');
      return failed(488, 'Not Acceptable Here');
    },
    async offer() {
      if (body === undefined) return failed(488, 'Not Acceptable Here');
      return {
        kind: 'offered',
        sdp: body,
        contentType,
        accept: (answer) => answerUnlessCancelled(invite, answer),
        decline: () => Promise.resolve(),
      };
    },
    arrived: () => undefined,
    sendAway: (leg) => leg.hangUp('SIP;cause=488'),
  };
}

/** The far end of another call of ours, whose other side asked for it. Refused with 491 while that call negotiates. */
export function comingFrom(
  pair: Pair,
  side: Side,
  facts: Pick<Newcomer, 'number' | 'party' | 'refused'>,
): Newcomer {
  const leg = pair.legs[side];
  const before = leg.agreed.local;
  return {
    ...facts,
    peer: leg.peer,
    speaks: 'either',
    async answer(offer) {
      const answer = await pair.tryTurn(() => pair.insist(side, { method: 'INVITE', offer }));
      if (answer === undefined) return failed(491, 'Request Pending');
      const { status, reason = '', sdp } = answer;
      if (status >= 300) return failed(status, reason);
      return { kind: 'answered', sdp: sdp ?? '', leg };
    },
    async offer() {
      const offered = await pair.tryTurn(() => pair.insist(side, { method: 'INVITE', offer: undefined }));
      if (offered === undefined) return failed(491, 'Request Pending');
      const { status, reason = '', sdp, acknowledge } = offered;
      if (status >= 300 || sdp === undefined) return failed(status < 300 ? 488 : status, reason);
      return {
        kind: 'offered',
        sdp,
        accept: async (answer) => {
          await acknowledge?.(answer);
          return leg;
        },
        decline: async () => acknowledge?.(before),
      };
    },
    arrived: () => pair.release(side),
    async sendAway() {
      if (before !== undefined)
        await pair.tryTurn(() => pair.insist(side, { method: 'INVITE', offer: before }));
    },
  };
}

async function answerUnlessCancelled(invite: Invite, sdp: string): Promise<Leg | undefined> {
  try {
    return await invite.answer(sdp);
  } catch (error) {
    if (error instanceof InviteCancelled || invite.cancelled.aborted) return undefined;
    throw error;
  }
}
