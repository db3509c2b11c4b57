/** Transfers: a REFER within the call passed on with its dialogs renamed, or carried out by us (RFC 3515, RFC 5589). */
import type { CallId, Side } from '../../config/units.ts';
import type { Dialled } from '../sip/edge.ts';
import type { InDialogRequest, InDialogResponse, Leg } from '../sip/leg.ts';
import { hostPortOf, userOf } from '../sip/peer-uri.ts';
import type { Peer } from '../sip/peers.ts';
import { readReferTo, readReplaces, writeReferTo, writeReplaces, type Replaces } from '../sip/replaces.ts';
import { otherSide } from './crossing.ts';
import type { Pair } from './legs.ts';
import type { CallRegistry } from './registry.ts';
import type { SelectedCall } from './selected.ts';

/**
 * A dialog that one side names, as the far end behind it knows it: the other leg of the same call. Undefined when no call of
 * ours has it.
 */
export function renamed(
  replaces: Replaces,
  calls: CallRegistry,
): { replaces: Replaces; leg: Leg; call: CallId } | undefined {
  const { callId, toTag, fromTag, earlyOnly } = replaces;
  const found = calls.findLegs({ callId, ourTag: toTag, theirTag: fromTag });
  if (found === undefined) return undefined;
  const { dialog } = found.other;
  return {
    call: found.call,
    leg: found.other,
    replaces: { callId: dialog.callId, toTag: dialog.remoteTag, fromTag: dialog.localTag, earlyOnly },
  };
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

/** A party that has been asked for: who asked, and for whom. */
export interface Transfer {
  by: Side;
  uri: string;
}

/** The transfers that the far ends of a call ask for, for its story to carry out one after the other. */
export class Transfers {
  #asked: Transfer | undefined;
  #wake: () => void = () => undefined;

  /** Answers a REFER: taken (202), not now (a second one, 491), or not understood (400). */
  take(by: Side, { headers }: InDialogRequest): InDialogResponse {
    const referTo = readReferTo(headers['refer-to'] ?? '');
    if (referTo === undefined || targetOf(referTo.uri) === '') return { status: 400, reason: 'Bad Refer-To' };
    if (this.#asked !== undefined) return { status: 491, reason: 'Request Pending' };
    this.#asked = { by, uri: referTo.uri };
    this.#wake();
    return { status: 202 };
  }

  /** A racer that ends when a transfer is asked for; `current` is it. */
  asked(over: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#asked !== undefined || over.aborted) return resolve();
      const end = (): void => {
        over.removeEventListener('abort', end);
        this.#wake = () => undefined;
        resolve();
      };
      this.#wake = end;
      over.addEventListener('abort', end);
    });
  }

  get current(): Transfer | undefined {
    return this.#asked;
  }

  settle(): void {
    this.#asked = undefined;
  }
}

/** How the one who asked is told of the progress (RFC 3515 section 2.4.5). */
export async function notifyProgress(leg: Leg, status: string, over: boolean): Promise<void> {
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
export function peerFor({ by, uri }: Transfer, { invite, house }: SelectedCall): Peer | undefined {
  const { edge } = house;
  const host = hostPortOf(uri);
  const named = edge.peers.all().find((peer) => host !== undefined && hostPortOf(peer.uri) === host);
  if (named !== undefined) return named;
  const inbound = invite.from.kind === 'trunk';
  const behindInvite = inbound ? 'caller' : 'agent';
  return otherSide(by) === behindInvite ? invite.from : edge.candidates(invite)[0];
}

/**
 * Calls the target in the place of the one who asked, who hears how it goes. The parties talk on until the target has answered;
 * when it does not, everything is as it was.
 */
export async function callTarget(
  call: SelectedCall,
  pair: Pair,
  transfer: Transfer,
  signal: AbortSignal,
): Promise<{ leg: Leg; peer: Peer } | undefined> {
  const { invite, media, house } = call;
  const asker = pair.legs[transfer.by];
  const peer = peerFor(transfer, call);
  if (peer === undefined) {
    await notifyProgress(asker, '404 Not Found', true);
    return undefined;
  }
  await notifyProgress(asker, '100 Trying', false);
  const ringing = AbortSignal.timeout(house.config.sip.answerTimeoutSeconds * 1_000);
  const agreed = await media.snapshot();
  const sdp = await media[transfer.by].offer(undefined, peer.srtp);
  const dialled = await house.edge.dial(
    { to: peer, invite, sdp, called: targetOf(transfer.uri) },
    AbortSignal.any([signal, ringing]),
  );
  if (dialled.kind === 'answered' && (await agrees(call, transfer.by, dialled))) {
    await notifyProgress(asker, '200 OK', true);
    return { leg: dialled.leg, peer };
  }
  await agreed.restore();
  if (dialled.kind === 'answered') await dialled.leg.hangUp('SIP;cause=488');
  await notifyProgress(asker, failureOf(dialled), true);
  return undefined;
}

async function agrees(
  { media, house, invite }: SelectedCall,
  side: Side,
  { sdp }: Extract<Dialled, { kind: 'answered' }>,
): Promise<boolean> {
  try {
    await media[side].accept(sdp);
    return true;
  } catch (error) {
    house.log.warn({ call: invite.call, err: error }, 'the target of a transfer cannot be anchored');
    return false;
  }
}

function failureOf(dialled: Dialled): string {
  if (dialled.kind === 'failed') return `${dialled.status} ${dialled.reason}`;
  return dialled.kind === 'answered' ? '488 Not Acceptable Here' : '487 Request Terminated';
}

/** The number of a transfer's target. */
export function targetOf(uri: string): string {
  return userOf(uri) ?? '';
}
