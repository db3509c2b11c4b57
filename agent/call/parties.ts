/** Who is on the call: other parties come in by transfer or say who they are, and are told before they are recorded (I1). */
import type { Side } from '../../config/units.ts';
import type { Leg } from '../sip/leg.ts';
import { userOf } from '../sip/peer-uri.ts';
import type { Arrival, Unseated } from './arrivals.ts';
import type { Conversation } from './conversation.ts';
import { otherSide } from './crossing.ts';
import { firstOf, whenAborted } from './first-of.ts';
import type { Pair } from './legs.ts';
import { lawTogether, whyNotTogether } from './law-together.ts';
import { seatAnchored, seatDirect, type Seating } from './seat.ts';
import type { SelectedCall } from './selected.ts';
import { tellParty } from './telling.ts';
import { trace } from './trace.ts';
import type { OngoingCall } from './transfer.ts';
import { whyWithheldFrom } from './withheld.ts';

const sides = ['caller', 'agent'] as const;

/** Notes who a far end says is there now: a PBX that transfers within itself says it by re-INVITE or UPDATE (RFC 5876). */
export function watchIdentities(call: SelectedCall, pair: Pair): void {
  for (const side of sides) watchIdentity(call, side, pair.legs[side]);
}

function watchIdentity(call: SelectedCall, side: Side, leg: Leg): void {
  leg.onIdentity((identity) => {
    void enterParty(call, side, call.house.pseudonym(numberIn(identity)), 'identity');
    const withheld = side === 'agent' ? whyWithheldFrom(`sip:${numberIn(identity)}@`, call) : undefined;
    if (withheld !== undefined) void call.listed.give('stop', { by: 'tacet', reason: withheld });
  });
}

function enterParty(
  { invite, house, listed }: OngoingCall,
  side: Side,
  party: string,
  by: Arrival['by'] | 'identity',
): Promise<boolean> {
  listed.enterParty(side, party, house.now());
  return trace(house, { kind: 'call.party', call: invite.call, side, party, by });
}

function numberIn(identity: string): string {
  const open = identity.indexOf('<');
  const uri = open < 0 ? identity : identity.slice(open + 1, identity.indexOf('>', open));
  return userOf(uri) ?? uri;
}

/** Whoever asks comes into a call whose media flows directly. */
export async function carryArrivalDirect(call: OngoingCall, pair: Pair): Promise<void> {
  const arrival = pair.arrivals.current;
  if (arrival !== undefined) await takePlace(call, pair, arrival, (over) => seatDirect(pair, arrival, over));
}

/**
 * Whoever asks comes into a call whose media is anchored. What was decided and refused before holds on; nothing is captured
 * between the newcomer's answer and the end of its announcement.
 */
export async function carryArrival(
  conversation: Conversation,
  heedRefusal: () => Promise<void>,
): Promise<void> {
  const { call, pair, tape, watch } = conversation;
  const { media } = call;
  const arrival = pair.arrivals.current;
  if (arrival === undefined) return;
  const came = await takePlace(call, pair, arrival, async (over) => {
    const seating = seatAnchored(media, arrival, over, () => tape.silence('untold'));
    // A target may ring for long: a refusal does not wait for it (I2).
    await firstOf({ seated: () => seating, refused: whenAborted(watch.refused) });
    await heedRefusal();
    return await seating;
  });
  if (!came) {
    await tape.sound('untold');
    return;
  }
  await resume(conversation, otherSide(arrival.side));
  watchIdentity(call, arrival.side, pair.legs[arrival.side]);
  conversation.desk.listen();
  await receive(conversation, arrival);
}

/**
 * The newcomer takes the place of the one who leaves, who is hung up. While it is on its way the one who leaves may hang up by
 * itself. When nobody comes, everything is as it was.
 */
async function takePlace(
  call: OngoingCall,
  pair: Pair,
  { side, by, newcomer, progress }: Arrival,
  seat: (over: AbortSignal) => Promise<Seating>,
): Promise<boolean> {
  const { listed, invite, house } = call;
  const leaver = pair.legs[side];
  using _leaving = pair.leaves(side);
  const trying = progress('100 Trying', false);
  const seating = await seat(pair.legs[otherSide(side)].ended).catch((error: unknown): Unseated => {
    house.log.error({ call: invite.call, err: error }, 'a party cannot be brought in');
    return { seated: false, status: 500, reason: 'Server Internal Error' };
  });
  if (!seating.seated || pair.arrivals.closed) {
    if (seating.seated) await newcomer.sendAway(seating.leg);
    const unseated = seating.seated
      ? { seated: false as const, status: 487, reason: 'Request Terminated' }
      : seating;
    void trying.then(() => progress(`${unseated.status} ${unseated.reason}`, true));
    pair.arrivals.settle(unseated);
    return false;
  }
  pair.replace(side, seating.leg);
  if (newcomer.peer.kind === 'trunk') listed.outside.set(side, newcomer.number);
  else listed.outside.delete(side);
  void trying.then(() => progress('200 OK', true)).then(() => leaver.hangUp());
  newcomer.arrived();
  pair.arrivals.settle({ seated: true });
  await enterParty(call, side, newcomer.party, by);
  return true;
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

/**
 * Asks the law anew with everybody who is outside now, tells whom it or the campaign says, and records on: in the same recording
 * where the same laws hold, in another one where they do not.
 */
async function receive(conversation: Conversation, { side, newcomer }: Arrival): Promise<void> {
  const { call, pair, tape, watch } = conversation;
  const { listed } = call;
  const before = call.rule.constraint;
  call.rule = lawTogether(call, pair, side);
  if (!tape.running) return;
  const why = whyNotTogether(call, newcomer);
  if (why !== undefined) return void (await tape.end(why === 'law' ? 'law' : 'stopped', why));
  const withheld = side === 'agent' ? whyWithheldFrom(pair.legs.agent.remoteTarget, call) : undefined;
  if (withheld !== undefined) return void listed.give('stop', { by: 'tacet', reason: withheld });

  const { constraint, campaign } = call.rule;
  const outside = listed.outside.has(side);
  const stricter = constraint.mode === 'consent' && before.mode !== 'consent';
  const again = outside && (stricter || campaign.announceTransferred === 'all');
  const hearers = sides.filter((each) => (each === side ? outside : again && listed.outside.has(each)));
  if (hearers.length > 0 && campaign.announceTransferred === 'never')
    return void (await tape.end('stopped', 'not-told'));
  for (const hearer of hearers) {
    const announced = await tellParty(call, pair, watch, hearer);
    if (watch.refused.aborted || announced.kind === 'ended') return;
    if (announced.kind !== 'told') return void (await tape.end('stopped', 'not-told'));
  }
  if (constraint.packs.join() === before.packs.join()) return void (await tape.sound('untold'));
  await tape.end('transfer');
  await tape.start();
}
