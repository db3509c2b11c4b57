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
  /** Told to the end and not refused: what a recording asks for (I1, I2). */
  mayRecord: boolean;
}

/** Bridged: from here on both parties talk. */
export async function converse(
  call: SelectedCall,
  { legs, watch, mayRecord }: Conversation,
): Promise<Outcome> {
  const { media, house } = call;
  const refusedBefore = watch.refused.aborted;
  const started = mayRecord && !refusedBefore ? await startRecording(call) : undefined;
  const recording = started instanceof Recording ? started : undefined;
  await using _recording = recording;
  using limit = callLimit(house);
  const never = new AbortController().signal;

  const talking = carryLegs(
    legs,
    anchoredCrossing(media, async () => recording?.follow(media)),
    limit.signal,
  );
  const first = await firstOf({
    ended: () => talking,
    refused: whenAborted(refusedBefore ? never : watch.refused),
    failed: whenAborted(recording?.failed ?? never),
    lost: whenAborted(media.lost),
  });

  let detail = started instanceof Recording ? undefined : started;
  let written = refusedBefore;
  const refuse = async (): Promise<void> => {
    await recording?.destroy('refused');
    if (!written) await writeRefusal(call, watch);
    written = true;
  };

  // Stopped before the refusal is looked at: one in the same instant as the hang-up still counts (I2).
  await recording?.stop();
  if (watch.refused.aborted) await refuse();
  else if (recording !== undefined) {
    if (first.won !== 'ended') detail = first.won === 'lost' ? 'media-lost' : 'sink-failed';
    await keep(call, recording, detail);
  }
  if (first.won === 'lost') await releaseMedia(legs);
  const end = await talking;
  // Also one that came after the recording had ended early: it counts until hang-up.
  if (watch.refused.aborted) await refuse();

  if (watch.refused.aborted) return { kind: 'refused', answered: true, hungUpBy: end.by, detail: undefined };
  return {
    kind: recording === undefined ? 'unrecorded' : 'recorded',
    answered: true,
    hungUpBy: end.by,
    detail,
  };
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

async function keep(
  { invite, house }: SelectedCall,
  recording: Recording,
  failure: string | undefined,
): Promise<void> {
  await recording.finish(
    failure === undefined ? 'hangup' : failure === 'media-lost' ? failure : 'interrupted',
  );
  if (failure === undefined) house.metrics.recordingKept();
  else house.metrics.recordingFailed(failure);
  house.log.info({ call: invite.call, recording: recording.id, failure }, 'recording closed');
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
  await house.ledger.append({
    kind: 'call.told',
    call: invite.call,
    prompt: name,
    hash,
    ...announced.played,
  });
}

async function writeRefusal({ invite, house }: SelectedCall, { refusal }: RefusalWatch): Promise<void> {
  if (refusal === undefined) return;
  house.metrics.refusal(refusal.by);
  house.log.info({ call: invite.call, by: refusal.by }, 'caller refused');
  await house.ledger.append({ kind: 'call.refused', call: invite.call, by: refusal });
}
