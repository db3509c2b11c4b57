/** A call that is not recorded: signalling only. The parties' SDP is untouched, media flows directly. */
import { assertNever } from '../../config/errors.ts';
import { notYet, type EarlyDialog } from '../sip/early-dialog.ts';
import type { Invite } from '../sip/invite.ts';
import { InviteCancelled } from '../sip/invite.ts';
import type { Leg } from '../sip/leg.ts';
import type { Talk } from './conversation.ts';
import { directCrossing } from './crossing.ts';
import { firstOf } from './first-of.ts';
import type { CampaignRule, House } from './house.ts';
import { Pair } from './legs.ts';
import { CallLimit } from './limit.ts';
import { recordOnDemand } from './on-demand.ts';
import { agentDesk } from './orders.ts';
import { outcomeOfStatus, type Outcome, type OutcomeKind } from './outcome.ts';
import type { EnteredCall } from './registry.ts';
import { callRoute } from './routes.ts';
import { carryArrivalDirect } from './parties.ts';
import { interceptTransfers } from './transfer.ts';

/** What a call that got through is to be called, and who wants to know when it does. */
export interface PassedAs {
  kind: Extract<OutcomeKind, 'unselected' | 'unmatched' | 'unrecorded' | 'emergency' | 'bypassed' | 'inner'>;
  detail?: string;
  onAnswered?: () => void;
}

export interface PassedCall {
  invite: Invite;
  house: House;
  listed: EnteredCall;
  /** The rules under which it may yet be recorded by order. */
  rule: CampaignRule | undefined;
}

/** Connects the caller with the route's first willing peer and gets out of the way. */
export async function passThrough(call: PassedCall, passed: PassedAs): Promise<Outcome> {
  const { invite, house } = call;
  const { body: sdp, contentType } = invite;
  /** What each branch of a fork described before anybody answered. */
  const early = new Map<string | undefined, string>();
  let ringing: Pick<EarlyDialog, 'update'> | undefined;
  const { branches } = invite;
  invite.early.onUpdate((offer) =>
    ringing === undefined
      ? notYet(offer)
      : ringing.update({ ...offer, branch: branches.theirs(offer.branch) }),
  );
  const dialled = await callRoute(invite, house, {
    body: () => Promise.resolve(sdp === undefined ? { sdp } : { sdp, contentType }),
    onProgress: (status, described, far) => {
      if (described !== undefined) early.set(far.branch, described);
      ringing = far.early;
      invite.progress(status, described, far);
    },
    onUpdate: (offer) => invite.early.update({ ...offer, branch: branches.ours(offer.branch) }),
    onRetry: () => {
      early.clear();
      ringing = undefined;
      return Promise.resolve();
    },
    ended: invite.cancelled,
  });
  switch (dialled.kind) {
    case 'given-up':
      return { kind: 'abandoned', answered: false, hungUpBy: 'caller', detail: undefined };
    case 'failed':
      invite.reject(dialled.status, dialled.reason, dialled.headers);
      return {
        kind: outcomeOfStatus(dialled.status),
        answered: false,
        hungUpBy: undefined,
        detail: String(dialled.status),
      };
    case 'answered':
    case 'offered':
      break;
  }

  let far: Leg | undefined;
  try {
    // Who answered in a reliable 183 need not say it again in the 200 (RFC 3262 section 5); our caller had it unreliably.
    const branch = dialled.kind === 'answered' ? dialled.leg.dialog.remoteTag : dialled.branch;
    const near = await invite.answer(dialled.sdp === '' ? (early.get(branch) ?? '') : dialled.sdp, branch);
    await using _near = near;
    far = dialled.kind === 'answered' ? dialled.leg : await acceptLate(near, dialled);
    if (far === undefined)
      return { kind: 'abandoned', answered: false, hungUpBy: 'caller', detail: 'no answer in ACK' };
    passed.onAnswered?.();
    const inbound = invite.from.kind === 'trunk';
    const legs = inbound ? { caller: near, agent: far } : { caller: far, agent: near };
    using limit = new CallLimit(house);
    const pair = new Pair(legs, directCrossing);
    return await talk(call, passed, { pair, talking: pair.carry(limit.signal), limit });
  } catch (error) {
    if (!(error instanceof InviteCancelled) && !invite.cancelled.aborted) throw error;
    if (dialled.kind === 'offered') await dialled.release();
    return { kind: 'abandoned', answered: false, hungUpBy: 'caller', detail: undefined };
  } finally {
    await (far ?? (dialled.kind === 'answered' ? dialled.leg : undefined))?.[Symbol.asyncDispose]();
  }
}

/** Nobody listens, until the call ends or somebody orders it to be recorded. */
export async function talk(call: PassedCall, { kind, detail }: PassedAs, talk: Talk): Promise<Outcome> {
  const { listed, invite } = call;
  const { pair, talking } = talk;
  // An emergency call is never touched; of a call that came back the outer one is who is recorded, and knows nothing of newcomers here.
  if (invite.marks.free !== undefined || invite.marks.pass !== undefined) pair.arrivals.close();
  interceptTransfers(call, pair);
  using _desk = agentDesk(call, pair);
  listed.pair = pair;
  for (;;) {
    listed.state = 'passing';
    const turn = await firstOf({
      ended: () => talking,
      ordered: (over) => listed.ordered(over),
      arrival: (over) => pair.arrivals.asked(over),
    });
    switch (turn.won) {
      case 'ended':
        return { kind, answered: true, hungUpBy: turn.value.by, detail };
      case 'arrival':
        await carryArrivalDirect(call, pair);
        break;
      case 'ordered': {
        const order = listed.take();
        const recorded = order === undefined ? undefined : await recordOnDemand(call, talk, order);
        if (recorded !== undefined) return recorded;
        break;
      }
      default:
        assertNever(turn);
    }
  }
}

/** The late offer's second half: the caller's ACK holds the answer to the far end's offer (RFC 3264 section 4). */
async function acceptLate(
  near: Leg,
  offered: { accept: (answer: string) => Promise<Leg>; release: () => Promise<void> },
): Promise<Leg | undefined> {
  const answer = await near.answerInAck();
  if (answer !== undefined) return offered.accept(answer);
  await offered.release();
  return undefined;
}
