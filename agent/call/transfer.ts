/** Transfers: a REFER within the call passed on with its dialogs renamed, or carried out by us (RFC 3515, RFC 5589). */
import type { CallId, Side } from '../../config/units.ts';
import type { InDialogRequest, InDialogResponse, Leg } from '../sip/leg.ts';
import { hostPortOf, userOf } from '../sip/peer-uri.ts';
import type { Peer } from '../sip/peers.ts';
import { readReferTo, readReplaces, writeReferTo, writeReplaces, type Replaces } from '../sip/replaces.ts';
import { otherSide } from './crossing.ts';
import type { Pair } from './legs.ts';
import { calledIn, comingFrom } from './newcomer.ts';
import type { CallRegistry, EnteredCall } from './registry.ts';
import type { SelectedCall } from './selected.ts';
import { trace } from './trace.ts';

/** A call as far as others come into it, recorded or not. */
export type OngoingCall = Pick<SelectedCall, 'invite' | 'house' | 'listed'>;

/** A dialog of a call of ours, by the side that its far end is on. */
interface Seat {
  call: EnteredCall;
  pair: Pair;
  side: Side;
}

/** The dialog that a far end names, as it names it. */
export function dialogOf(replaces: Replaces, calls: CallRegistry): Seat | undefined {
  const { callId, toTag, fromTag } = replaces;
  return calls.find({ callId, ourTag: toTag, theirTag: fromTag });
}

/**
 * Whose place an INVITE with Replaces asks for: the far end's dialog with us; or, named as the far end on the other side knows
 * it, the one who talks with that far end.
 */
export function replacedBy(replaces: Replaces, calls: CallRegistry): Seat | undefined {
  const { callId, toTag, fromTag } = replaces;
  const named = calls.find({ callId, ourTag: fromTag, theirTag: toTag });
  return (
    dialogOf(replaces, calls) ?? (named === undefined ? undefined : { ...named, side: otherSide(named.side) })
  );
}

/**
 * A dialog that one side names, as the far end behind it knows it: the other leg of the same call. Undefined when no call of
 * ours has it.
 */
export function renamed(
  replaces: Replaces,
  calls: CallRegistry,
): { replaces: Replaces; leg: Leg; call: CallId } | undefined {
  const found = dialogOf(replaces, calls);
  if (found === undefined) return undefined;
  const leg = found.pair.legs[otherSide(found.side)];
  const { callId, remoteTag: toTag, localTag: fromTag } = leg.dialog;
  const { earlyOnly } = replaces;
  return { call: found.call.facts.call, leg, replaces: { callId, toTag, fromTag, earlyOnly } };
}

/**
 * A request to be passed on, with the dialogs of ours that it names as the other side knows them: the target of an
 * attended transfer is then the far end of the consultation itself.
 */
export function withDialogsRenamed(request: InDialogRequest, calls: CallRegistry): InDialogRequest {
  const { headers } = request;
  const referTo = readReferTo(headers['refer-to'] ?? '');
  const target = referTo?.replaces === undefined ? undefined : renamed(referTo.replaces, calls);
  const replaces = readReplaces(headers['replaces'] ?? '');
  const dialog = replaces === undefined ? undefined : renamed(replaces, calls);
  return {
    ...request,
    headers: {
      ...headers,
      ...(target === undefined
        ? {}
        : { 'refer-to': writeReferTo({ uri: target.leg.remoteTarget, replaces: target.replaces }) }),
      ...(dialog === undefined ? {} : { replaces: writeReplaces(dialog.replaces) }),
    },
  };
}

/** REFERs are ours to carry out where the site says so; all else is passed on with its dialogs renamed. */
export function interceptTransfers(call: OngoingCall, pair: Pair): void {
  const { house } = call;
  const { intercept } = pair;
  const handled = house.config.sip.transfers === 'handle';
  pair.intercept = async (from, request, pass) => {
    if (handled && request.method === 'REFER' && !pair.arrivals.closed)
      return takeRefer(call, pair, from, request);
    return await intercept(from, withDialogsRenamed(request, house.calls), pass);
  };
}

/** Answers a REFER: taken (202), not now (another is under way, 491), or not understood (400). */
function takeRefer(
  call: OngoingCall,
  pair: Pair,
  from: Side,
  { headers }: InDialogRequest,
): InDialogResponse {
  const value = headers['refer-to'] ?? '';
  const referTo = readReferTo(value);
  const attended = /[?&]replaces=/iu.test(value);
  if (referTo === undefined || (attended ? referTo.replaces === undefined : targetOf(referTo.uri) === ''))
    return { status: 400, reason: 'Bad Refer-To' };
  if (pair.arrivals.busy) return { status: 491, reason: 'Request Pending' };
  const { uri, replaces } = referTo;
  const consulted = replaces === undefined ? undefined : dialogOf(replaces, call.house.calls);
  // The NOTIFY that says how it goes must not come before the 202.
  setImmediate(() => {
    if (consulted !== undefined && consulted.pair !== pair) void join(call, pair, from, consulted);
    else void callTarget(call, pair, from, uri, replaces);
  });
  return { status: 202 };
}

/** The target of a transfer is called: blindly, or to take the place of a dialog that is none of ours (RFC 5589 section 7). */
async function callTarget(
  { invite, house }: OngoingCall,
  pair: Pair,
  side: Side,
  uri: string,
  replaces: Replaces | undefined,
): Promise<void> {
  const asker = pair.legs[side];
  const peer = peerFor(side, uri, { invite, house });
  if (peer === undefined) return void (await notifyProgress(asker, '404 Not Found', true));
  const headers: Record<string, string> = replaces === undefined ? {} : { Replaces: writeReplaces(replaces) };
  const newcomer = calledIn({ number: targetOf(uri), peer, invite, headers }, house);
  const progress = (status: string, over: boolean): Promise<void> => notifyProgress(asker, status, over);
  await pair.arrivals.ask({ side, by: 'transfer', newcomer, progress });
}

/**
 * An attended transfer between two calls of ours: the parties whom the asker talks with talk with each other. They go on in the
 * call that is recorded; in the one that the transfer was asked in, where both are or neither.
 */
async function join({ listed, house }: OngoingCall, pair: Pair, from: Side, consulted: Seat): Promise<void> {
  const asker = pair.legs[from];
  const here: Seat = { call: listed, pair, side: from };
  const [goesOn, ends] =
    isRecorded(consulted.call) && !isRecorded(listed) ? [consulted, here] : [here, consulted];
  const side = otherSide(ends.side);
  const number = ends.call.outside.get(side);
  const newcomer = comingFrom(ends.pair, side, {
    number: number ?? '',
    party:
      ends.call.partyOn(side) ?? house.pseudonym(number ?? userOf(ends.pair.legs[side].remoteTarget) ?? ''),
    refused: ends.call.refused,
  });
  // The asker may hang up on both as soon as the transfer is taken.
  using _leaving = ends.pair.leaves(ends.side);
  const settled = await goesOn.pair.arrivals.ask({
    side: goesOn.side,
    by: 'transfer',
    newcomer,
    progress: (status, over) => notifyProgress(asker, status, over),
  });
  if (!settled.seated) return;
  const { call: of } = goesOn.call.facts;
  await trace(house, { kind: 'call.linked', call: ends.call.facts.call, of, passes: 0 });
}

function isRecorded({ state }: EnteredCall): boolean {
  return state === 'recording' || state === 'paused';
}

/** How the one who asked is told of the progress (RFC 3515 section 2.4.5). */
async function notifyProgress(leg: Leg, status: string, over: boolean): Promise<void> {
  await leg.request({
    method: 'NOTIFY',
    headers: {
      Event: 'refer',
      'Subscription-State': over ? 'terminated;reason=noresource' : 'active;expires=120',
      'Content-Type': 'message/sipfrag;version=2.0',
    },
    body: `SIP/2.0 ${status}\r\n`,
  });
}

/** Whom a transfer leads to: the peer that its host names, else the one behind the other side, as the REFER asked that one. */
function peerFor(
  by: Side,
  uri: string,
  { invite, house }: Pick<OngoingCall, 'invite' | 'house'>,
): Peer | undefined {
  const { edge } = house;
  const host = hostPortOf(uri);
  const named = edge.peers.all().find((peer) => host !== undefined && hostPortOf(peer.uri) === host);
  if (named !== undefined) return named;
  const inbound = invite.from.kind === 'trunk';
  const behindInvite = inbound ? 'caller' : 'agent';
  return otherSide(by) === behindInvite ? invite.from : edge.candidates(invite)[0];
}

/** The number of a transfer's target. */
function targetOf(uri: string): string {
  return userOf(uri) ?? '';
}
