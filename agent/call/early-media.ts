/** Inbound, told before anybody answers: the announcement as early media (RFC 3960), the 200 when an agent is there. */
import { hearRefusal } from './announcement.ts';
import { bridge } from './conversation.ts';
import { answerAlone, answerEarly } from './crossing.ts';
import { keypadOf } from './keys.ts';
import { LinkedAbortController } from './linked-abort.ts';
import { endsCall, refusedAndEnded } from './mandated.ts';
import { outcomeOfStatus, type Outcome } from './outcome.ts';
import { putThrough, putTogether, refusesMedia } from './put-through.ts';
import { ringAgent } from './ringing.ts';
import type { Leg } from '../sip/leg.ts';
import { q850Reason } from '../sip/reason.ts';
import { accepts, type SelectedCall } from './selected.ts';
import { tell } from './telling.ts';

/** @param answer our answer to the caller's offer: it goes out in the 183 and again in the 200, the same */
export async function announceInEarlyMedia(call: SelectedCall, answer: string): Promise<Outcome> {
  const { invite, rule, media, house } = call;
  using given = new LinkedAbortController(invite.cancelled, house.shutdown);
  invite.early.onUpdate(answerEarly(media, 'caller', () => Promise.resolve()));
  invite.progress(183, answer);
  // Keys come by RTP alone before there is a dialog; those pressed now are heard again by nobody else.
  using early = hearRefusal(media.caller, rule.campaign.refusalKeys);
  const announced = await tell(call, early, given.signal);
  if (announced.kind === 'ended') return abandoned();
  if (endsCall(announced, rule)) {
    invite.reject(603);
    return refusedAndEnded;
  }

  const dialled = await ringAgent(call, given.signal);
  if (dialled.kind === 'failed' && refusesMedia(dialled.status)) {
    await using caller = await invite.answer(answer);
    answerAlone(caller, media, 'caller');
    const put = await putThrough(call, caller);
    return typeof put === 'number' ? await hangUpFor(caller, put) : put;
  }
  if (dialled.kind === 'failed') {
    invite.reject(dialled.status, dialled.reason, dialled.headers);
    const kind = outcomeOfStatus(dialled.status);
    return { kind, answered: false, hungUpBy: undefined, detail: String(dialled.status) };
  }
  if (dialled.kind !== 'answered') return abandoned();
  await using agent = dialled.leg;
  const anchored = await accepts(media.agent, dialled.sdp);
  await using caller = await invite.answer(answer);
  answerAlone(caller, media, 'caller');
  if (!anchored) {
    const put = await putTogether(call, { caller, agent });
    return typeof put === 'number' ? await hangUpFor(caller, put) : put;
  }
  using later = hearRefusal(keypadOf(media.caller, caller, house.now), rule.campaign.refusalKeys);
  await media.connect();
  const watch = early.refused.aborted ? early : later;
  return await bridge(call, { caller, agent }, { watch, mayRecord: announced.kind === 'told' });
}

/** It was answered to be put through, and nobody is there. */
async function hangUpFor(caller: Leg, status: number): Promise<Outcome> {
  await caller.hangUp(q850Reason(status));
  return { kind: outcomeOfStatus(status), answered: false, hungUpBy: undefined, detail: String(status) };
}

function abandoned(): Outcome {
  return { kind: 'abandoned', answered: false, hungUpBy: 'caller', detail: undefined };
}
