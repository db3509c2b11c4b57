/** Inbound, the default placement: the caller is answered and told before anybody's telephone rings. */
import { firstOf, whenAborted } from './first-of.ts';
import { hearRefusal } from './announcement.ts';
import { bridge } from './conversation.ts';
import { answerAlone } from './crossing.ts';
import { keypadOf } from './keys.ts';
import { LinkedAbortController } from './linked-abort.ts';
import { endsCall, refusedAndEnded } from './mandated.ts';
import type { Outcome } from './outcome.ts';
import { outcomeOfStatus } from './outcome.ts';
import { putThrough, putTogether, refusesMedia } from './put-through.ts';
import { ringAgent } from './ringing.ts';
import { accepts, answeredLate, type SelectedCall } from './selected.ts';
import { tell } from './telling.ts';
import type { Leg } from '../sip/leg.ts';
import { q850Reason } from '../sip/reason.ts';

/** How long a caller is played the busy tone when no PBX takes the call that we answered. */
const busyToneMs = 4_000;

export async function announceBeforeConnect(call: SelectedCall, answer: string): Promise<Outcome> {
  const { invite, rule, media, house } = call;
  await using caller = await invite.answer(answer);
  answerAlone(caller, media, 'caller');
  using watch = hearRefusal(keypadOf(media.caller, caller, house.now), rule.campaign.refusalKeys);
  if (!(await answeredLate(call, caller))) return abandoned(caller);

  using over = new LinkedAbortController(caller.ended, house.shutdown);
  const announced = await tell(call, watch, over.signal);
  if (announced.kind === 'ended') return abandoned(caller);
  if (endsCall(announced, rule)) return refusedAndEnded;

  const dialled = await ringAgent(call, over.signal);
  if (dialled.kind === 'failed') {
    const put = refusesMedia(dialled.status) ? await putThrough(call, caller) : dialled.status;
    return typeof put === 'number' ? await tellFailure(call, caller, put) : put;
  }
  if (dialled.kind !== 'answered') return abandoned(caller);
  await using agent = dialled.leg;
  if (!(await accepts(media.agent, dialled.sdp))) {
    const put = await putTogether(call, { caller, agent });
    return typeof put === 'number' ? await tellFailure(call, caller, put) : put;
  }
  await media.connect();
  return await bridge(call, { caller, agent }, { watch, mayRecord: announced.kind === 'told' });
}

/** No PBX took the call that we had answered: the caller hears why, and the BYE says it to the carrier's CDR. */
async function tellFailure({ media, house }: SelectedCall, caller: Leg, status: number): Promise<Outcome> {
  const kind = outcomeOfStatus(status);
  const tone = { plan: house.config.sip.ringingTone, kind: kind === 'busy' ? 'busy' : 'congestion' } as const;
  await media.disconnect();
  using over = new LinkedAbortController(caller.ended, house.shutdown, AbortSignal.timeout(busyToneMs));
  await firstOf({ tone: (signal) => media.caller.playTone(tone, signal), over: whenAborted(over.signal) });
  await caller.hangUp(q850Reason(status));
  return { kind, answered: false, hungUpBy: undefined, detail: String(status) };
}

function abandoned(caller: Leg): Outcome {
  const hungUpBy = caller.end?.by === 'peer' ? 'caller' : 'tacet';
  return { kind: 'abandoned', answered: false, hungUpBy, detail: undefined };
}
