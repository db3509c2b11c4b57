/** Outbound, the default placement: the called party answers, is told, and is then put through to the agent. */
import { hearRefusal } from './announcement.ts';
import { bridge } from './conversation.ts';
import { answerAlone } from './crossing.ts';
import { keypadOf } from './keys.ts';
import { accepts, type SelectedCall } from './selected.ts';
import { outcomeOfStatus, type Outcome } from './outcome.ts';
import { callRoute } from './routes.ts';
import { tell } from './telling.ts';

export async function announceOnAnswer(call: SelectedCall, answer: string): Promise<Outcome> {
  const { invite, rule, media, house } = call;
  let early = Promise.resolve();
  const dialled = await callRoute(invite, house, {
    body: async (to) => ({ sdp: await media.caller.offer(undefined, to.srtp) }),
    onProgress: (status, sdp) => {
      if (sdp === undefined) return invite.progress(status);
      early = early
        .then(async () => {
          await media.caller.accept(sdp);
          await media.connect();
          invite.progress(183, answer);
        })
        .catch((error: unknown) =>
          house.log.warn({ call: invite.call, err: error }, 'early media not usable'),
        );
    },
    onRetry: async () => {
      await early;
      await media.disconnect();
    },
    ended: AbortSignal.any([invite.cancelled, house.shutdown]),
  });
  await early;
  if (dialled.kind === 'failed') {
    invite.reject(dialled.status, dialled.reason, dialled.headers);
    const kind = outcomeOfStatus(dialled.status);
    return { kind, answered: false, hungUpBy: undefined, detail: String(dialled.status) };
  }
  if (dialled.kind !== 'answered')
    return { kind: 'abandoned', answered: false, hungUpBy: 'agent', detail: undefined };

  await using caller = dialled.leg;
  if (!(await accepts(media.caller, dialled.sdp))) {
    invite.reject(488);
    return { kind: 'rejected', answered: false, hungUpBy: 'tacet', detail: '488' };
  }
  await media.disconnect();
  await using agent = await invite.answer(answer);
  answerAlone(caller, media, 'caller');
  answerAlone(agent, media, 'agent');
  using watch = hearRefusal(keypadOf(media.caller, caller, house.now), rule.campaign.refusalKeys);

  const ended = AbortSignal.any([caller.ended, agent.ended, house.shutdown]);
  const told = new AbortController();
  const agentHears = media.agent.play(rule.prompt, AbortSignal.any([told.signal, ended]));
  const announced = await tell(call, watch, ended);
  told.abort();
  await agentHears;
  if (announced.kind === 'ended') {
    const hungUpBy = caller.ended.aborted ? 'caller' : agent.ended.aborted ? 'agent' : 'tacet';
    return { kind: 'abandoned', answered: false, hungUpBy, detail: undefined };
  }
  await media.connect();
  return await bridge(call, { caller, agent }, { watch, mayRecord: announced.kind === 'told' });
}
