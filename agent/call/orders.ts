/** Orders about a recording: from the registry, from the agent's keys, from the agent's telephone by INFO. */
import { assertNever } from '../../config/errors.ts';
import type { Campaign } from '../../config/schema.ts';
import type { MediaSession } from '../../media/plane.ts';
import type { InDialogResponse } from '../sip/leg.ts';
import type { Conversation } from './conversation.ts';
import { keypadOf, onCode } from './keys.ts';
import type { Pair } from './legs.ts';
import type { PassedCall } from './pass-through.ts';
import type { Obeyed, PendingOrder, Verb } from './registry.ts';
import type { CampaignRule } from './rules.ts';
import type { SelectedCall } from './selected.ts';
import { tellEverybody } from './telling.ts';
import { trace } from './trace.ts';
import { whyWithheldFrom } from './withheld.ts';

/** What an agent can order from the telephone. */
export interface AgentDesk extends Disposable {
  /** Listens to who is on the agent's side now; an outside party there gives no orders. */
  listen(): void;
}

/**
 * Listens to the agent for the length of the conversation: the campaign's codes pressed on the telephone, and an INFO
 * with the header `Record: on` or `Record: off` that telephones with a record key send.
 *
 * @param media where the agent's keys are heard besides INFO; undefined while the media flows directly
 */
export function agentDesk(call: PassedCall, pair: Pair, media?: MediaSession): AgentDesk {
  const { listed } = call;
  let codes = new DisposableStack();
  const listen = (): void => {
    codes.dispose();
    codes = new DisposableStack();
    if (!listed.outside.has('agent')) listenForCodes(call, pair, media, codes);
  };
  listen();
  const { intercept } = pair;
  pair.intercept = async (from, request, pass) => {
    const wish = request.method === 'INFO' && from === 'agent' ? request.headers['record'] : undefined;
    if (wish === undefined || call.rule === undefined || listed.outside.has('agent'))
      return await intercept(from, request, pass);
    const verb =
      wish.trim().toLowerCase() === 'off' ? 'pause' : listed.state === 'paused' ? 'resume' : 'record';
    return asResponse(await listed.give(verb, { by: 'agent', reason: 'record key' }));
  };
  return {
    listen,
    [Symbol.dispose]() {
      codes.dispose();
      pair.intercept = intercept;
    },
  };
}

const verbOfCode = {
  pause: 'pause',
  payment: 'mask',
  resume: 'resume',
  record: 'record',
  private: 'private',
} as const satisfies Record<keyof Campaign['agentCodes'], Verb>;

function listenForCodes(
  { rule, house, listed }: PassedCall,
  pair: Pair,
  media: MediaSession | undefined,
  codes: DisposableStack,
): void {
  const keypad = keypadOf(media?.agent, pair.legs.agent, house.now);
  for (const [name, code] of Object.entries(rule?.campaign.agentCodes ?? {})) {
    if (code === undefined) continue;
    const verb = verbOfCode[name as keyof Campaign['agentCodes']];
    codes.use(onCode(keypad, code, () => void listed.give(verb, { by: 'agent', reason: 'code pressed' })));
  }
}

function asResponse(obeyed: Obeyed): InDialogResponse {
  return obeyed.done ? { status: 200 } : { status: 488, reason: 'Not Acceptable Here' };
}

/** Why a call that its agent said to be private is not recorded. */
export const privateCall = 'the agent said that the call is private';

/** Carries out the next order, writes it down and says whether it was done. */
export async function obey(conversation: Conversation): Promise<void> {
  const order = conversation.call.listed.take();
  if (order === undefined) return;
  const obeyed = await carryOut(conversation, order);
  await writeOrder(conversation.call, order, obeyed);
  conversation.call.listed.state = conversation.tape.state;
  order.answer(obeyed);
}

/** The order as the ledger keeps it; one that cannot be written has been carried out all the same, and the log says so. */
export async function writeOrder(
  { invite, house }: Pick<SelectedCall, 'invite' | 'house'>,
  { verb, by, reason }: PendingOrder,
  { done }: { done: boolean },
): Promise<void> {
  house.log.info({ call: invite.call, verb, by, done }, 'order');
  await trace(house, { kind: 'call.ordered', call: invite.call, verb, by, reason, done });
}

async function carryOut(conversation: Conversation, { verb }: PendingOrder): Promise<Obeyed> {
  const { tape, call } = conversation;
  if (verb === 'record') return await record(conversation);
  if (verb === 'private') {
    call.listed.isPrivate = true;
    await tape.destroy('private-call');
    return { done: true };
  }
  if (!tape.running) return { done: false, why: 'nothing is being recorded' };
  switch (verb) {
    case 'pause':
      return confirmed(await tape.silence('paused'));
    case 'mask':
      return confirmed(await tape.silence('payment'));
    case 'resume':
      return confirmed((await tape.sound('payment')) && (await tape.sound('paused')));
    case 'stop':
      await tape.end('stopped');
      return { done: true };
    default:
      return assertNever(verb);
  }
}

function confirmed(done: boolean): Obeyed {
  return done
    ? { done }
    : { done, why: 'the media plane did not confirm it; the recording was ended instead' };
}

/** Why no order may start a recording under a rule: the campaign does not want it, or the law blocks it. */
export function whyNoOrder({ campaign, constraint, withheld }: CampaignRule): string | undefined {
  if (withheld !== undefined) return `not recorded: ${withheld}`;
  if (!campaign.onDemand && campaign.trigger !== 'on-demand') return 'the campaign does not allow it';
  return constraint.blocked[0]?.text;
}

async function record({ call, pair, tape, watch, state }: Conversation): Promise<Obeyed> {
  if (tape.running) return { done: false, why: 'it is being recorded' };
  if (watch.refused.aborted) return { done: false, why: 'the caller has refused' };
  if (call.listed.isPrivate) return { done: false, why: privateCall };
  if (watch.declined) return { done: false, why: 'the caller was asked and did not say yes' };
  if (state.away) return { done: false, why: 'its media no longer passes here' };
  const forbidden = whyNoOrder(call.rule) ?? whyWithheldFrom(pair.legs.agent.remoteTarget, call);
  if (forbidden !== undefined) return { done: false, why: forbidden };
  const announced = await tellEverybody(call, pair, watch);
  if (announced.kind !== 'told') return { done: false, why: `the caller was ${announced.kind}` };
  await tape.start();
  return tape.running ? { done: true } : { done: false, why: tape.detail ?? 'not taken by the store' };
}
