/** Whether Tacet stands in a call's media: taking ourselves out of it, and in. */
import type { Side } from '../../config/units.ts';
import { SdpRefused, type MediaSession } from '../../media/plane.ts';
import { holdsKeys } from '../../media/sdp/audio.ts';
import type { SrtpPolicy } from '../../media/srtp/agreement.ts';
import { directCrossing, otherSide } from './crossing.ts';
import type { Pair } from './legs.ts';
import { accepts } from './selected.ts';

/**
 * Takes us out of the media: the caller is asked for an offer, which the agent answers (RFC 3725 section 4.1). If either
 * refuses, both keep what they had.
 *
 * @param media where the caller's media stays when the agent refuses; undefined when the media plane is gone
 */
export function leaveMedia(pair: Pair, media: MediaSession | undefined): Promise<boolean> {
  return pair.inTurn(async () => {
    const offered = await pair.insist('caller', { method: 'INVITE', offer: undefined });
    if (offered.status >= 300 || offered.sdp === undefined) return false;
    const answered = await pair.insist('agent', { method: 'INVITE', offer: offered.sdp });
    const agreed = answered.status < 300 && answered.sdp !== undefined;
    await offered.acknowledge?.(agreed ? answered.sdp : await stay(media, offered.sdp));
    if (agreed) pair.crossing = directCrossing;
    return agreed;
  });
}

/**
 * The caller was answered before the agent's PBX was asked. Where that chose a codec that does not pass to the caller's,
 * the caller is offered one that does; if it refuses, the parties are put through to each other without us.
 *
 * @returns whether their media go through us
 */
export async function speakAlike(pair: Pair, media: MediaSession): Promise<boolean> {
  if (!media.caller.stuck) return true;
  await pair.inTurn(async () => {
    const offer = await media.caller.offer();
    const { status, sdp } = await pair.insist('caller', { method: 'INVITE', offer });
    if (status < 300 && sdp !== undefined) await accepts(media.caller, sdp);
  });
  return !media.caller.stuck || !(await leaveMedia(pair, media));
}

async function stay(media: MediaSession | undefined, offer: string): Promise<string | undefined> {
  try {
    return await media?.caller.answer(offer);
  } catch (error) {
    if (error instanceof SdpRefused) return undefined;
    throw error;
  }
}

/**
 * Brings us into the media of a call that flows directly: both sides are known to the media plane before either is asked
 * to send its media to us. If one refuses, the other goes back to where it was and nothing has changed.
 */
export function enterMedia(pair: Pair, media: MediaSession): Promise<boolean> {
  return pair.inTurn(async () => {
    const srtp = { caller: pair.legs.caller.peer.srtp, agent: pair.legs.agent.peer.srtp };
    const told = { caller: pair.legs.caller.agreed, agent: pair.legs.agent.agreed };
    const before = { caller: told.caller.local, agent: told.agent.local };
    const keyed = { caller: false, agent: false };
    for (const side of ['caller', 'agent'] as const) {
      const knowledge = await knows(media, side, told[side].remote, srtp[side]);
      if (knowledge === undefined) return false;
      keyed[side] = knowledge.keyed;
    }
    await media.connect();
    const moved: Side[] = [];
    for (const side of ['agent', 'caller'] as const) {
      const answer = await moves(pair, media, side, keyed[side] ? undefined : srtp[side]);
      if (answer !== 'refused') moved.push(side);
      if (answer !== 'anchored') {
        for (const each of moved) {
          const offer = before[each];
          if (offer !== undefined) await pair.insist(each, { method: 'INVITE', offer });
        }
        return false;
      }
    }
    return true;
  });
}

/**
 * What a party told the other one is all that we know of it. Where it needed no key for that, nothing is said yet of
 * whether it has one for us. Undefined: it cannot be anchored.
 */
async function knows(
  media: MediaSession,
  side: Side,
  description: string | undefined,
  srtp: SrtpPolicy,
): Promise<{ keyed: boolean } | undefined> {
  try {
    if (description === undefined) return undefined;
    const keyed = holdsKeys(description);
    await media[side].answer(description, undefined, keyed || srtp !== 'require' ? srtp : 'accept');
    return { keyed };
  } catch (error) {
    if (error instanceof SdpRefused) return undefined;
    throw error;
  }
}

/** `unusable`: it sends to us already, and must be sent back. */
async function moves(
  pair: Pair,
  media: MediaSession,
  side: Side,
  srtp: SrtpPolicy | undefined,
): Promise<'refused' | 'unusable' | 'anchored'> {
  const offer = await media[side].offer(media[otherSide(side)].remoteDirection, srtp);
  const { status, sdp } = await pair.insist(side, { method: 'INVITE', offer });
  if (status >= 300) return 'refused';
  return sdp !== undefined && (await accepts(media[side], sdp)) ? 'anchored' : 'unusable';
}
