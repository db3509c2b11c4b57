/** Recording a call in progress by order: its media is brought in, its outside party is told, and only then is it recorded. */
import { MediaUnavailable, type MediaSession } from '../../media/plane.ts';
import { hearRefusal } from './announcement.ts';
import { converse, type Talk } from './conversation.ts';
import { keypadOf } from './keys.ts';
import { lawTogether } from './law-together.ts';
import { enterMedia } from './media-path.ts';
import { privateCall, whyNoOrder, writeOrder } from './orders.ts';
import type { Outcome } from './outcome.ts';
import type { PassedCall } from './pass-through.ts';
import type { Obeyed, PendingOrder } from './registry.ts';
import type { SelectedCall } from './selected.ts';
import type { Tape } from './tape.ts';
import { tellEverybody } from './telling.ts';

/**
 * Carries out an order about a call whose media flows directly. Gives the call's outcome when it was brought in and carried to its
 * end, and undefined when the call goes on as it was.
 */
export async function recordOnDemand(
  passed: PassedCall,
  talk: Talk,
  order: PendingOrder,
): Promise<Outcome | undefined> {
  const { invite, house, listed } = passed;
  const refuse = async (why: string): Promise<Outcome | undefined> => {
    const obeyed: Obeyed = { done: false, why };
    await writeOrder({ invite, house }, order, obeyed);
    order.answer(obeyed);
    return undefined;
  };
  if (order.verb === 'private') listed.isPrivate = true;
  if (order.verb !== 'record') return await refuse('nothing is being recorded');
  if (listed.isPrivate) return await refuse(privateCall);
  if (passed.rule === undefined) return await refuse('no campaign allows it');
  const { pair } = talk;
  const rule = lawTogether({ ...passed, rule: passed.rule }, pair, 'caller');
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
  if (!(await enterMedia(pair, media)))
    return await refuse('a party did not agree; the call goes on as it was');

  const call: SelectedCall = { invite, rule, media, house, listed };
  using watch = hearRefusal(keypadOf(media.caller, pair.legs.caller, house.now), rule.campaign.refusalKeys);
  const announced = await tellEverybody(call, pair, watch);
  const told = announced.kind === 'told';
  // The ledger knows of the order before it knows of the recording.
  await writeOrder({ invite, house }, order, { done: told });
  const started = ({ running, detail }: Tape): void =>
    order.answer(
      running ? { done: true } : { done: false, why: detail ?? `announcement: ${announced.kind}` },
    );
  return await converse(call, talk, { watch, mayRecord: told, started });
}
