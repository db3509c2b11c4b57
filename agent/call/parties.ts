/** Who is on the call: other parties come in by transfer or say who they are, and are told before they are recorded (I1). */
import type { Side } from '../../config/units.ts';
import { hearRefusal } from './announcement.ts';
import type { Conversation } from './conversation.ts';
import { otherSide } from './crossing.ts';
import { firstOf, whenAborted } from './first-of.ts';
import { keypadOf } from './keys.ts';
import type { Pair } from './legs.ts';
import type { SelectedCall } from './selected.ts';
import { tell } from './telling.ts';
import { trace } from './trace.ts';
import { callTarget, targetOf, withDialogsRenamed, type Transfers } from './transfer.ts';
import { userOf } from '../sip/peer-uri.ts';
import { whyWithheldFrom } from './withheld.ts';

const sides = ['caller', 'agent'] as const;

/** REFERs are ours to carry out where the site says so; all else is passed on with its dialogs renamed. */
export function interceptTransfers({ house }: SelectedCall, pair: Pair, transfers: Transfers): void {
  const { intercept } = pair;
  const handled = house.config.sip.transfers === 'handle';
  pair.intercept = async (from, request, pass) => {
    // An attended transfer joins two calls of the far end's: it is passed on, the other side knows both.
    const attended = /[?&]replaces=/iu.test(request.headers['refer-to'] ?? '');
    if (handled && request.method === 'REFER' && !attended) return transfers.take(from, request);
    return await intercept(from, withDialogsRenamed(request, house.calls), pass);
  };
}

/** Notes who a far end says is there now: a PBX that transfers within itself says it by re-INVITE or UPDATE (RFC 5876). */
export function watchIdentities(call: SelectedCall, pair: Pair): void {
  for (const side of sides) {
    pair.legs[side].onIdentity((identity) => {
      void noteParty(call, side, numberIn(identity), 'identity');
      const withheld = side === 'agent' ? whyWithheldFrom(`sip:${numberIn(identity)}@`, call) : undefined;
      if (withheld !== undefined) void call.listed.give('stop', { by: 'tacet', reason: withheld });
    });
  }
}

function noteParty(
  { invite, house }: SelectedCall,
  side: Side,
  number: string,
  by: 'identity' | 'transfer',
): Promise<boolean> {
  const party = house.pseudonym(number);
  return trace(house, { kind: 'call.party', call: invite.call, side, party, by });
}

function numberIn(identity: string): string {
  const open = identity.indexOf('<');
  const uri = open < 0 ? identity : identity.slice(open + 1, identity.indexOf('>', open));
  return userOf(uri) ?? uri;
}

/**
 * Carries out a transfer: the target takes the place of who asked for it. What was decided and refused before holds on; nothing
 * is captured between its answer and the end of its announcement.
 */
export async function carryTransfer(
  conversation: Conversation,
  transfers: Transfers,
  heedRefusal: () => Promise<void>,
): Promise<void> {
  const { call, pair, tape, watch } = conversation;
  const transfer = transfers.current;
  if (transfer === undefined) return;
  const { by: side } = transfer;
  const asker = pair.legs[side];
  try {
    const calling = callTarget(call, pair, transfer, pair.ended);
    // The target may ring for long: a refusal does not wait for it (I2).
    await firstOf({ called: () => calling, refused: whenAborted(watch.refused) });
    await heedRefusal();
    const target = await calling;
    if (target === undefined) return;
    await tape.silence('untold');
    pair.replace(side, target.leg);
    call.listed.legs = [pair.legs.caller, pair.legs.agent];
    await resume(conversation, otherSide(side));
    await asker.hangUp();
    await noteParty(call, side, targetOf(transfer.uri), 'transfer');
    await tellNewcomer(conversation, side, target.peer.kind === 'trunk');
  } finally {
    transfers.settle();
  }
}

/** The one who stayed may still be on the hold of the one who left. */
async function resume({ call, pair, tape }: Conversation, side: Side): Promise<void> {
  const { media } = call;
  await pair.inTurn(async () => {
    const { status, sdp } = await pair.insist(side, { method: 'INVITE', offer: await media[side].offer() });
    if (status < 300 && sdp !== undefined) await media[side].accept(sdp);
  });
  await tape.follow(media);
}

/** Tells whom the campaign says; whoever is outside and was not told is not recorded (I1). */
async function tellNewcomer(conversation: Conversation, side: Side, outside: boolean): Promise<void> {
  const { call, pair, tape, watch } = conversation;
  const { rule, media, house } = call;
  const policy = rule.campaign.announceTransferred;
  if (!tape.running) return;
  if (policy === 'all' && side !== 'caller') {
    const again = await tell(call, watch, pair.ended);
    if (again.kind !== 'told') return;
  }
  if (!outside) {
    await tape.sound('untold');
    return;
  }
  if (policy === 'never') {
    await tape.end('stopped', 'not-told');
    return;
  }
  const keypad = keypadOf(media[side], pair.legs[side], house.now);
  const theirs = hearRefusal(keypad, rule.campaign.refusalKeys, house.now());
  watch.join(theirs);
  const announced = await tell(call, theirs, pair.ended, side);
  watch.traced ||= theirs.traced;
  if (announced.kind === 'told') await tape.sound('untold');
  else if (!watch.refused.aborted) await tape.end('stopped', 'not-told');
}
