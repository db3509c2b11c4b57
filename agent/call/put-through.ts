/**
 * What becomes of a selected call whose PBX will not have our media: it refuses our description (488, 606), or what it answers cannot be
 * anchored. The parties are put through to each other without us, unrecorded: a recording never costs a call (I4).
 */
import type { Leg } from '../sip/leg.ts';
import { directCrossing } from './crossing.ts';
import { Pair, type Legs } from './legs.ts';
import { CallLimit } from './limit.ts';
import { LinkedAbortController } from './linked-abort.ts';
import { leaveMedia } from './media-path.ts';
import type { Outcome } from './outcome.ts';
import { talk } from './pass-through.ts';
import { callRoute } from './routes.ts';
import type { SelectedCall } from './selected.ts';

/** Why such a call is not recorded; of a placement whose caller has heard nothing yet, that it must pass as one that was not selected. */
export const mediaRefused = 'media-refused';

/** Not acceptable as it was described (RFC 3261 sections 21.4.26 and 21.6.4), whoever is called. */
export function refusesMedia(status: number): boolean {
  return status === 488 || status === 606;
}

/**
 * Calls the PBXs again with what the caller itself has offered, and moves the caller, who talks to us, to whoever answers.
 *
 * @returns the status of the failure where nobody answers, or where the caller cannot be moved
 */
export async function putThrough(call: SelectedCall, caller: Leg): Promise<Outcome | number> {
  const { invite, house, media } = call;
  const { body: sdp, contentType } = invite;
  if (sdp === undefined) return 488;
  refused(call);
  using enough = new LinkedAbortController(caller.ended, house.shutdown);
  const tone = { plan: house.config.sip.ringingTone, kind: 'ringing' } as const;
  const ringing = media.caller.playTone(tone, enough.signal);
  const dialled = await callRoute(invite, house, {
    body: () => Promise.resolve({ sdp, contentType }),
    onProgress: () => undefined,
    ended: caller.ended,
  }).finally(() => enough.abort());
  await ringing;
  if (dialled.kind === 'failed') return dialled.status;
  if (dialled.kind !== 'answered') return abandoned(caller);
  await using agent = dialled.leg;
  return await direct(call, { caller, agent }, async (pair) => {
    const moved = await pair.insist('caller', { method: 'INVITE', offer: dialled.sdp });
    return moved.status < 300;
  });
}

/** The PBX has answered, and media cannot go through us: caller and agent describe themselves to each other. */
export async function putTogether(call: SelectedCall, legs: Legs): Promise<Outcome | number> {
  refused(call);
  return await direct(call, legs, (pair) => leaveMedia(pair, undefined));
}

async function direct(
  { invite, house, listed, rule }: SelectedCall,
  legs: Legs,
  move: (pair: Pair) => Promise<boolean>,
): Promise<Outcome | number> {
  using limit = new CallLimit(house);
  const pair = new Pair(legs, directCrossing);
  if (!(await move(pair))) return 488;
  const talking = pair.carry(limit.signal);
  return await talk(
    { invite, house, listed, rule },
    { kind: 'unrecorded', detail: mediaRefused },
    { pair, talking, limit },
  );
}

function refused({ invite, house }: SelectedCall): void {
  house.log.warn(
    { call: invite.call, detail: mediaRefused },
    'the PBX will not have our media: put through unrecorded',
  );
  house.metrics.recordingFailed(mediaRefused);
}

function abandoned(caller: Leg): Outcome {
  const hungUpBy = caller.end?.by === 'peer' ? 'caller' : 'tacet';
  return { kind: 'abandoned', answered: false, hungUpBy, detail: undefined };
}
