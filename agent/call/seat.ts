/** Media of one who comes into a call: agreed with it before it takes its place, so that nothing has changed when that fails. */
import { SdpRefused, type MediaSession } from '../../media/plane.ts';
import { sdpIn } from '../../media/sdp/multipart.ts';
import type { Leg } from '../sip/leg.ts';
import type { Arrival, Unseated } from './arrivals.ts';
import { otherSide } from './crossing.ts';
import type { Pair } from './legs.ts';
import { accepts } from './selected.ts';

export type Seating = { seated: true; leg: Leg } | Unseated;

const notAcceptable: Unseated = { seated: false, status: 488, reason: 'Not Acceptable Here' };

/**
 * Where media is anchored the newcomer agrees with us, in the place in the media plane of the one who leaves.
 *
 * @param beforeHeard called before the first packet of the newcomer can pass
 * @param over ends the call of a newcomer who has not answered
 */
export async function seatAnchored(
  media: MediaSession,
  { side, newcomer }: Arrival,
  over: AbortSignal,
  beforeHeard: () => Promise<unknown>,
): Promise<Seating> {
  const { srtp } = newcomer.peer;
  const agreed = await media.snapshot();
  if (newcomer.speaks === 'offers') {
    const offering = await newcomer.offer(over);
    if (offering.kind === 'failed') return offering;
    await beforeHeard();
    const sdp = sdpIn({ text: offering.sdp, type: offering.contentType });
    const answer = sdp === undefined ? undefined : await answered(media[side].answer(sdp, undefined, srtp));
    const leg = answer === undefined ? undefined : await offering.accept(answer);
    if (leg !== undefined) return { seated: true, leg };
    await agreed.restore();
    await offering.decline();
    return notAcceptable;
  }
  const answering = await newcomer.answer(await media[side].offer(undefined, srtp), over);
  if (answering.kind === 'failed') {
    await agreed.restore();
    return answering;
  }
  await beforeHeard();
  if (await accepts(media[side], answering.sdp)) return { seated: true, leg: answering.leg };
  await agreed.restore();
  await newcomer.sendAway(answering.leg);
  return notAcceptable;
}

/**
 * Where media flows directly the newcomer and the one who stays agree with each other, through us (RFC 3725 section 4.1). When
 * the newcomer is gone before it took the answer, the one who stays is sent back to whom it had.
 */
export async function seatDirect(
  pair: Pair,
  { side, newcomer }: Arrival,
  over: AbortSignal,
): Promise<Seating> {
  const stays = otherSide(side);
  const before = pair.legs[stays].agreed.local;
  if (newcomer.speaks === 'answers') {
    return await pair.inTurn(async () => {
      const asked = await pair.insist(stays, { method: 'INVITE', offer: undefined });
      if (asked.status >= 300 || asked.sdp === undefined) return refusedBy(asked);
      const answering = await newcomer.answer(asked.sdp, over);
      await asked.acknowledge?.(answering.kind === 'answered' ? answering.sdp : before);
      return answering.kind === 'answered' ? { seated: true, leg: answering.leg } : answering;
    });
  }
  const offering = await newcomer.offer(over);
  if (offering.kind === 'failed') return offering;
  return await pair.inTurn(async () => {
    const { sdp: offer, contentType } = offering;
    const answered = await pair.insist(stays, { method: 'INVITE', offer, contentType });
    if (answered.status >= 300 || answered.sdp === undefined) {
      await offering.decline();
      return refusedBy(answered);
    }
    const leg = await offering.accept(answered.sdp);
    if (leg !== undefined) return { seated: true, leg };
    if (before !== undefined) await pair.insist(stays, { method: 'INVITE', offer: before });
    return { seated: false, status: 487, reason: 'Request Terminated' };
  });
}

function refusedBy({ status, reason = '' }: { status: number; reason?: string | undefined }): Unseated {
  return status < 300 ? notAcceptable : { seated: false, status, reason };
}

async function answered(answering: Promise<string>): Promise<string | undefined> {
  try {
    return await answering;
  } catch (error) {
    if (error instanceof SdpRefused) return undefined;
    throw error;
  }
}
