/** The conversation of a selected call: recorded if it may be, for as long as it may be. */
import { messageOf } from '../../config/errors.ts';
import { RecordingRefused } from '../../media/fork/sink.ts';
import { retainUntil } from '../law/retention.ts';
import { parties, type SelectedCall } from './selected.ts';
import type { Announced, RefusalWatch } from './announcement.ts';
import { firstOf, whenAborted } from './first-of.ts';
import { anchoredCrossing, carryLegs, releaseMedia, type Legs } from './legs.ts';
import { callLimit } from './limit.ts';
import type { Outcome } from './outcome.ts';
import { Recording } from './recording.ts';

export interface Conversation {
  legs: Legs;
  watch: RefusalWatch;
  told: boolean;
}

/** Bridged: from here on both parties talk. */
export async function converse(call: SelectedCall, { legs, watch, told }: Conversation): Promise<Outcome> {
  const { media, house } = call;
  const refusedBefore = watch.refused.aborted;
  const started = told && !refusedBefore ? await startRecording(call) : undefined;
  const recording = started instanceof Recording ? started : undefined;
  await using _recording = recording;
  using limit = callLimit(house);
  const never = new AbortController().signal;

  const talking = carryLegs(legs, anchoredCrossing(media, async () => recording?.follow(media)), limit.signal);
  const first = await firstOf({
    ended: () => talking,
    refused: whenAborted(refusedBefore ? never : watch.refused),
    failed: whenAborted(recording?.failed ?? never),
    lost: whenAborted(media.lost),
  });

  let detail = started instanceof Recording ? undefined : started;
  await recording?.stop();
  // After the stop: a refusal in the same instant as the hang-up is a refusal (I2).
  if (recording !== undefined && !watch.refused.aborted) {
    if (first.won !== 'ended') detail = first.won === 'lost' ? 'media-lost' : 'sink-failed';
    await keep(call, recording, detail);
  }
  if (watch.refused.aborted) await recording?.destroy('refused');
  if (first.won === 'lost') await releaseMedia(legs);
  const end = await talking;

  // Also a refusal that came after the recording had ended early: it counts until hang-up.
  if (!watch.refused.aborted) {
    return { kind: recording === undefined ? 'unrecorded' : 'recorded', answered: true, hungUpBy: end.by, detail };
  }
  await recording?.destroy('refused');
  if (!refusedBefore) await writeRefusal(call, watch);
  return { kind: 'refused', answered: true, hungUpBy: end.by, detail: undefined };
}

async function startRecording(call: SelectedCall): Promise<Recording | string> {
  const { invite, rule, media, house } = call;
  const { campaign, constraint } = rule;
  try {
    const recording = await Recording.start(
      media,
      {
        call: invite.call,
        campaign,
        constraint,
        retainUntil: retainUntil(new Date(), constraint, campaign),
        parties: parties(invite, campaign.direction === 'inbound', house),
      },
      house,
    );
    house.metrics.recordingStarted();
    return recording;
  } catch (error) {
    const detail = error instanceof RecordingRefused ? error.reason : messageOf(error);
    house.metrics.recordingFailed(error instanceof RecordingRefused ? 'store' : 'ledger');
    house.log.error({ call: invite.call, err: error }, 'not recorded');
    return detail;
  }
}

async function keep({ invite, house }: SelectedCall, recording: Recording, failure: string | undefined): Promise<void> {
  const kept = await recording.finish(failure === undefined ? 'hangup' : failure === 'media-lost' ? failure : 'interrupted');
  if (failure === undefined) house.metrics.recordingKept();
  else house.metrics.recordingFailed(failure);
  house.log.info({ call: invite.call, recording: recording.id, kept, failure }, 'recording closed');
}

/** Writes what was played and how the window ended. */
export async function writeAnnounced(
  call: SelectedCall,
  announced: Announced,
  watch: RefusalWatch,
): Promise<void> {
  const { invite, rule, house } = call;
  if (announced.kind === 'refused') await writeRefusal(call, watch);
  if (announced.kind === 'ended' || announced.played === undefined) return;
  const { name, hash } = rule.prompt;
  await house.ledger.append({ kind: 'call.told', call: invite.call, prompt: name, hash, ...announced.played });
}

async function writeRefusal({ invite, house }: SelectedCall, { refusal }: RefusalWatch): Promise<void> {
  if (refusal === undefined) return;
  house.metrics.refusal(refusal.by);
  house.log.info({ call: invite.call, by: refusal.by }, 'caller refused');
  await house.ledger.append({ kind: 'call.refused', call: invite.call, by: refusal });
}
