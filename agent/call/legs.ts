/**
 * The two SIP dialogs of a call as one pair: what one far end asks (hold, re-INVITE, UPDATE, INFO, transfer) is asked
 * of the other, and the end of one is the end of both. Our own and not `createB2BUA`'s: it answers early UPDATE by
 * itself, and one rejected re-INVITE blocks every later one (drachtio-srf 5.0.29).
 */
import type { Side } from '../../config/units.ts';
import type { MediaSession, MediaSide } from '../../media/plane.ts';
import { SdpRefused } from '../../media/plane.ts';
import type { InDialogRequest, Leg, LegEnd, Reoffer, ReofferAnswer } from '../sip/leg.ts';
import { firstOf, whenAborted } from './first-of.ts';

export type Legs = Record<Side, Leg>;

/** How an offer crosses from one leg to the other. `ask` sends it on and brings the far end's answer. */
export type Crossing = (
  from: Side,
  reoffer: Reoffer,
  ask: (reoffer: Reoffer) => Promise<ReofferAnswer>,
) => Promise<ReofferAnswer>;

export function otherSide(side: Side): Side {
  return side === 'caller' ? 'agent' : 'caller';
}

/** Media flows directly: offers and answers cross untouched, an offer in a 200 and its answer in the ACK included. */
export const directCrossing: Crossing = (_from, reoffer, ask) => ask(reoffer);

/**
 * Media is anchored: each side negotiates with us. When the other side refuses, the media plane goes back to what was
 * agreed before, so that the conversation goes on as it was.
 */
export function anchoredCrossing(media: MediaSession, changed: () => Promise<void>): Crossing {
  return async (from, { method, offer }, ask) => {
    const asking = media[from];
    const asked = media[otherSide(from)];
    if (offer === undefined) {
      if (method === 'UPDATE') return { status: 200, sdp: undefined };
      return {
        status: 200,
        sdp: await asking.offer(),
        acknowledge: (answer) => {
          if (answer !== undefined) void asking.accept(answer).then(changed, () => undefined);
        },
      };
    }
    const agreed = await media.snapshot();
    try {
      await asking.answer(offer);
      const answer = await ask({ method, offer: await asked.offer(asking.remoteDirection) });
      if (answer.status >= 300) {
        await agreed.restore();
        return answer;
      }
      if (answer.sdp !== undefined) await asked.accept(answer.sdp);
      const sdp = await asking.answer(offer, asked.remoteDirection);
      await changed();
      return { status: 200, sdp };
    } catch (error) {
      await agreed.restore();
      if (error instanceof SdpRefused) return { status: 488, reason: 'Not Acceptable Here', sdp: undefined };
      throw error;
    }
  };
}

/** Until both legs are bridged, a far end's new offers (a hold during the announcement) are agreed with us alone. */
export function answerAlone(leg: Leg, side: MediaSide): void {
  leg.onReoffer(async ({ offer }) => {
    if (offer !== undefined) return { status: 200, sdp: await side.answer(offer) };
    return {
      status: 200,
      sdp: await side.offer(),
      acknowledge: (answer) => {
        if (answer !== undefined) void side.accept(answer).catch(() => undefined);
      },
    };
  });
}

/**
 * Takes us out of the media: the caller is asked for an offer, which the agent answers (RFC 3725 section 4.1). If
 * either refuses, both keep what they had.
 */
export async function releaseMedia({ caller, agent }: Legs): Promise<boolean> {
  const offered = await caller.reoffer({ method: 'INVITE', offer: undefined });
  if (offered.status >= 300 || offered.sdp === undefined) return false;
  const answered = await agent.reoffer({ method: 'INVITE', offer: offered.sdp });
  offered.acknowledge?.(answered.sdp);
  return answered.status < 300;
}

/** Which far end hung up, or that we did. */
export interface PairEnd {
  by: Side | 'tacet';
  reason: string | undefined;
}

/**
 * Ties two legs together until one of them ends. The other is then hung up with the reason handed on (RFC 3326).
 *
 * @param limit aborts when the pair must be ended by us (maximum duration, shutdown)
 */
export async function carryLegs(legs: Legs, crossing: Crossing, limit: AbortSignal): Promise<PairEnd> {
  let negotiating = false;
  for (const side of ['caller', 'agent'] as const) {
    const other = legs[otherSide(side)];
    legs[side].onReoffer(async (reoffer) => {
      // Two offers must not cross (RFC 3261 section 14.2): the one that finds us busy tries again after its 491.
      if (negotiating) return { status: 491, reason: 'Request Pending', sdp: undefined };
      negotiating = true;
      try {
        return await crossing(side, reoffer, (on) => other.reoffer(on));
      } finally {
        negotiating = false;
      }
    });
    legs[side].onRequest((request: InDialogRequest) => other.request(request));
  }

  const first = await firstOf({
    caller: whenAborted(legs.caller.ended),
    agent: whenAborted(legs.agent.ended),
    tacet: whenAborted(limit),
  });
  const ended = first.won === 'tacet' ? undefined : (first.value as LegEnd);
  const by = ended?.by === 'peer' && first.won !== 'tacet' ? first.won : 'tacet';
  await Promise.all([legs.caller.hangUp(ended?.reason), legs.agent.hangUp(ended?.reason)]);
  return { by, reason: ended?.reason };
}
