/** How an offer crosses from one leg to the other, while media flows directly and while it is anchored (RFC 3264). */
import type { Side } from '../../config/units.ts';
import type { MediaSession, MediaSide } from '../../media/plane.ts';
import { SdpRefused } from '../../media/plane.ts';
import { answerDirection } from '../../media/sdp/direction.ts';
import { offersImage } from '../../media/sdp/audio.ts';
import { sdpIn, withSdp, type SipBody } from '../../media/sdp/multipart.ts';
import type { Leg, Reoffer, ReofferAnswer } from '../sip/leg.ts';
import type { AnswerReoffer } from '../sip/reoffer.ts';

/** `ask` sends the offer on to the other leg and brings its far end's answer. */
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

const notAcceptable: ReofferAnswer = { status: 488, reason: 'Not Acceptable Here', sdp: undefined };

export interface AnchoredEvents {
  /** Something new was agreed: a hold, a resume, another codec. */
  changed: () => Promise<void>;
  /** The parties agreed on a fax (T.38): their media flows directly now, and we are out of it. */
  faxed: () => void;
}

/**
 * Media is anchored: each side negotiates with us. When the other side refuses, the media plane goes back to what was
 * agreed before, so that the conversation goes on as it was. A fax is not ours to carry: its offer crosses untouched.
 */
export function anchoredCrossing(media: MediaSession, { changed, faxed }: AnchoredEvents): Crossing {
  return async (from, reoffer, ask) => {
    const { offer, contentType } = reoffer;
    if (offer === undefined) {
      return reoffer.method === 'UPDATE' ? ask(reoffer) : crossOfferless(media, from, reoffer, ask, changed);
    }
    const sdp = sdpIn({ text: offer, type: contentType });
    if (sdp === undefined) return notAcceptable;
    const agreed = await media.snapshot();
    try {
      if (offersImage(sdp)) {
        const answer = await ask(reoffer);
        if (answer.status < 300) faxed();
        return answer;
      }
      return await crossAnchored(media, from, reoffer, sdp, ask, async (answer) => {
        if (answer.status >= 300) await agreed.restore();
        else await changed();
      });
    } catch (error) {
      await agreed.restore();
      if (error instanceof SdpRefused) return notAcceptable;
      throw error;
    }
  };
}

async function crossAnchored(
  media: MediaSession,
  from: Side,
  reoffer: Reoffer,
  sdp: string,
  ask: (reoffer: Reoffer) => Promise<ReofferAnswer>,
  settled: (answer: ReofferAnswer) => Promise<void>,
): Promise<ReofferAnswer> {
  const asking = media[from];
  const asked = media[otherSide(from)];
  await asking.answer(sdp);
  const body = withSdp(
    { text: reoffer.offer ?? '', type: reoffer.contentType },
    await asked.offer(asking.remoteDirection),
  );
  const answer = await ask({ ...reoffer, offer: body.text, contentType: body.type });
  if (answer.status < 300 && answer.sdp !== undefined) await asked.accept(answer.sdp);
  await settled(answer);
  if (answer.status >= 300) return answer;
  const ours = await asking.answer(sdp, answerDirection(asking.remoteDirection, asked.remoteDirection));
  return { ...answer, sdp: ours, contentType: 'application/sdp' };
}

/**
 * A re-INVITE without offer crosses as one, so that both parties say anew where they stand: the other side's offer becomes
 * ours in the 200, the answer in the ACK becomes ours to the other side.
 */
async function crossOfferless(
  media: MediaSession,
  from: Side,
  reoffer: Reoffer,
  ask: (reoffer: Reoffer) => Promise<ReofferAnswer>,
  changed: () => Promise<void>,
): Promise<ReofferAnswer> {
  const asking = media[from];
  const asked = media[otherSide(from)];
  const offered = await ask(reoffer);
  if (offered.status >= 300) return offered;
  const agreed = await media.snapshot();
  const theirs = offered.sdp ?? '';
  try {
    await asked.answer(theirs);
  } catch (error) {
    await agreed.restore();
    await offered.acknowledge?.(await asked.offer());
    if (error instanceof SdpRefused) return notAcceptable;
    throw error;
  }
  return {
    ...offered,
    sdp: await asking.offer(asked.remoteDirection, undefined, 'anyone'),
    acknowledge: async (answer) => {
      await take(asking, answer);
      const direction = answerDirection(asked.remoteDirection, asking.remoteDirection);
      await offered.acknowledge?.(await asked.answer(theirs, direction));
      await changed();
    },
  };
}

/** Until both legs are bridged, a far end's new offers (a hold during the announcement) are agreed with us alone. */
export function answerAlone(leg: Pick<Leg, 'onReoffer'>, media: MediaSession, side: Side): void {
  leg.onReoffer(async ({ method, offer, contentType }) => {
    if (offer === undefined) {
      return method === 'UPDATE'
        ? { status: 200, sdp: undefined }
        : {
            status: 200,
            sdp: await media[side].offer(undefined, undefined, 'anyone'),
            acknowledge: (answer) => take(media[side], answer),
          };
    }
    return await answerOffer(media, side, { text: offer, type: contentType });
  });
}

/** Before the INVITE was answered a side's new offers are agreed with us alone, after whatever it said before. */
export function answerEarly(media: MediaSession, side: Side, before: () => Promise<unknown>): AnswerReoffer {
  return async ({ offer, contentType }) => {
    if (offer === undefined) return { status: 200, sdp: undefined };
    await before();
    return await answerOffer(media, side, { text: offer, type: contentType });
  };
}

/** Our answer to an offer that only we have heard of; one that cannot be anchored is refused and changes nothing. */
export async function answerOffer(media: MediaSession, side: Side, body: SipBody): Promise<ReofferAnswer> {
  const sdp = sdpIn(body);
  if (sdp === undefined) return notAcceptable;
  const agreed = await media.snapshot();
  try {
    return { status: 200, sdp: await media[side].answer(sdp) };
  } catch (error) {
    await agreed.restore();
    if (error instanceof SdpRefused) return notAcceptable;
    throw error;
  }
}

/** An answer in an ACK cannot be refused: one that cannot be anchored leaves things as they were. */
async function take(side: MediaSide, answer: string | undefined): Promise<void> {
  try {
    if (answer !== undefined) await side.accept(answer);
  } catch (error) {
    if (!(error instanceof SdpRefused)) throw error;
  }
}
