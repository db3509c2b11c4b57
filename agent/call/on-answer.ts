/**
 * Outbound, the default placement: the called party answers, is told, and is then put through to the agent. Inbound it is the
 * agent who answers first; the caller is answered then, told, and put through.
 */
import { hearRefusal } from './announcement.ts';
import { bridge } from './conversation.ts';
import { answerAlone, answerEarly, otherSide } from './crossing.ts';
import { keypadOf } from './keys.ts';
import { LinkedAbortController } from './linked-abort.ts';
import { endsCall, refusedAndEnded } from './mandated.ts';
import { accepts, answeredLate, type SelectedCall } from './selected.ts';
import { outcomeOfStatus, type Outcome } from './outcome.ts';
import { mediaRefused, refusesMedia } from './put-through.ts';
import { callRoute } from './routes.ts';
import { tell } from './telling.ts';

export async function announceOnAnswer(
  call: SelectedCall,
  answer: string,
): Promise<Outcome | typeof mediaRefused> {
  const { invite, rule, media, house } = call;
  const near = invite.from.kind === 'trunk' ? 'caller' : 'agent';
  const far = otherSide(near);
  let early = Promise.resolve();
  invite.early.onUpdate(answerEarly(media, near, () => early));
  const dialled = await callRoute(invite, house, {
    body: async (to) => ({ sdp: await media[far].offer(undefined, to.srtp) }),
    onUpdate: answerEarly(media, far, () => early),
    onProgress: (status, sdp, { reliable }) => {
      if (sdp === undefined) return invite.progress(status);
      early = early
        .then(async () => {
          await media[far].accept(sdp);
          await media.connect();
          invite.progress(183, answer, { reliable });
        })
        .catch((error: unknown) =>
          house.log.warn({ call: invite.call, err: error }, 'early media not usable'),
        );
    },
    onRetry: async () => {
      await early;
      await media.disconnect();
    },
    ended: invite.cancelled,
  });
  await early;
  if (dialled.kind === 'failed' && refusesMedia(dialled.status)) return mediaRefused;
  if (dialled.kind === 'failed') {
    invite.reject(dialled.status, dialled.reason, dialled.headers);
    const kind = outcomeOfStatus(dialled.status);
    return { kind, answered: false, hungUpBy: undefined, detail: String(dialled.status) };
  }
  if (dialled.kind !== 'answered')
    return { kind: 'abandoned', answered: false, hungUpBy: near, detail: undefined };

  await using farLeg = dialled.leg;
  if (!(await accepts(media[far], dialled.sdp))) {
    await farLeg.hangUp('SIP;cause=488');
    return mediaRefused;
  }
  await media.disconnect();
  await using nearLeg = await invite.answer(answer);
  const [caller, agent] = near === 'caller' ? [nearLeg, farLeg] : [farLeg, nearLeg];
  answerAlone(caller, media, 'caller');
  answerAlone(agent, media, 'agent');
  if (!(await answeredLate(call, nearLeg))) {
    return { kind: 'abandoned', answered: false, hungUpBy: near, detail: 'no answer in ACK' };
  }
  using watch = hearRefusal(keypadOf(media.caller, caller, house.now), rule.campaign.refusalKeys);

  using ended = new LinkedAbortController(caller.ended, agent.ended, house.shutdown);
  const told = new AbortController();
  const agentHears = agentListens(call, AbortSignal.any([told.signal, ended.signal]));
  const announced = await tell(call, watch, ended.signal);
  told.abort();
  await agentHears;
  if (announced.kind === 'ended') {
    const hungUpBy = caller.ended.aborted ? 'caller' : agent.ended.aborted ? 'agent' : 'tacet';
    return { kind: 'abandoned', answered: false, hungUpBy, detail: undefined };
  }
  if (endsCall(announced, rule)) return refusedAndEnded;
  await media.connect();
  return await bridge(call, { caller, agent }, { watch, mayRecord: announced.kind === 'told' });
}

/** The agent does not wait in silence: the announcement itself, or a short tone now and then. */
async function agentListens({ rule, media, house }: SelectedCall, over: AbortSignal): Promise<void> {
  if (rule.campaign.announcement.agentHears === 'prompt') await media.agent.play(rule.prompt, over);
  else await media.agent.playTone({ plan: house.config.sip.ringingTone, kind: 'notice' }, over);
}
