/** Recording a call in progress by order: its media is brought in, its outside party is told, and only then is it recorded. */
import { MediaUnavailable, type MediaSession } from '../../media/plane.ts';
import { hearRefusal } from './announcement.ts';
import { converse, type Talk } from './conversation.ts';
import { keypadOf } from './keys.ts';
import { enterMedia } from './media-path.ts';
import { whyNoOrder, writeOrder } from './orders.ts';
import type { Outcome } from './outcome.ts';
import type { PassedCall } from './pass-through.ts';
import type { Side } from '../../config/units.ts';
import type { SrtpPolicy } from '../../media/srtp/agreement.ts';
import type { Obeyed, PendingOrder } from './registry.ts';
import type { SelectedCall } from './selected.ts';
import type { Tape } from './tape.ts';
import { tell } from './telling.ts';

/**
 * Carries out an order about a call whose media flows directly; `srtp` is what the site wants of each leg's peer. Gives the call's outcome when it was brought in and carried to its
 * end, and undefined when the call goes on as it was.
 */
export async function recordOnDemand(
  passed: PassedCall,
  talk: Talk,
  order: PendingOrder,
  srtp: Record<Side, SrtpPolicy>,
): Promise<Outcome | undefined> {
  const { invite, house, rule, listed } = passed;
  const refuse = async (why: string): Promise<Outcome | undefined> => {
    const obeyed: Obeyed = { done: false, why };
    await writeOrder({ invite, house }, order, obeyed);
    order.answer(obeyed);
    return undefined;
  };
  if (order.verb !== 'record') return await refuse('nothing is being recorded');
  if (rule === undefined) return await refuse('no campaign allows it');
  const forbidden = whyNoOrder(rule);
  if (forbidden !== undefined) return await refuse(forbidden);

  let media: MediaSession;
  try {
    media = await house.media.open(invite.call);
  } catch (error) {
    if (error instanceof MediaUnavailable) return await refuse('no media session can be had');
    throw error;
  }
  await using _session = media;
  const { pair } = talk;
  if (!(await enterMedia(pair, media, srtp)))
    return await refuse('a party did not agree; the call goes on as it was');

  const call: SelectedCall = { invite, rule, media, house, listed };
  using watch = hearRefusal(keypadOf(media.caller, pair.legs.caller, house.now), rule.campaign.refusalKeys);
  const announced = await tell(call, watch, pair.ended);
  const told = announced.kind === 'told';
  // The ledger knows of the order before it knows of the recording.
  await writeOrder({ invite, house }, order, { done: told });
  const started = ({ running, detail }: Tape): void =>
    order.answer(
      running ? { done: true } : { done: false, why: detail ?? `announcement: ${announced.kind}` },
    );
  return await converse(call, talk, { watch, mayRecord: told, started });
}
