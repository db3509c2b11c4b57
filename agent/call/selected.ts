/** A call that fell in the sample, as the parts of its story share it. */
import { SdpRefused, type MediaSession, type MediaSide } from '../../media/plane.ts';
import type { Invite } from '../sip/invite.ts';
import type { Leg } from '../sip/leg.ts';
import type { CampaignRule, House } from './house.ts';
import type { EnteredCall } from './registry.ts';

export interface SelectedCall {
  invite: Invite;
  rule: CampaignRule;
  media: MediaSession;
  house: House;
  listed: EnteredCall;
}

/** Pseudonyms by role: the caller is the outside party, whoever dialled. */
export function parties(
  { called, caller }: { called: string; caller: string },
  inbound: boolean,
  house: Pick<House, 'pseudonym'>,
): { caller: string; agent: string } {
  const [outside, inside] = inbound ? [caller, called] : [called, caller];
  return { caller: house.pseudonym(outside), agent: house.pseudonym(inside) };
}

/** Takes a far end's answer; false when it cannot be anchored after all (a codec that we did not offer). */
export async function accepts(side: MediaSide, answer: string): Promise<boolean> {
  try {
    if (answer !== '') await side.accept(answer);
    return true;
  } catch (error) {
    if (error instanceof SdpRefused) return false;
    throw error;
  }
}

/** To an INVITE without SDP our 200 was the offer: the ACK has the answer. One without is no call (RFC 3261 section 13.2.1). */
export async function answeredLate({ invite, media }: SelectedCall, near: Leg): Promise<boolean> {
  if (invite.body !== undefined) return true;
  const side = invite.from.kind === 'trunk' ? media.caller : media.agent;
  const answer = await near.answerInAck();
  if (answer !== undefined && (await accepts(side, answer))) return true;
  await near.hangUp('SIP;cause=488;text="No usable answer in the ACK"');
  return false;
}
