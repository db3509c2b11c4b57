/** The conversation of a call whose media is anchored: recorded if it may be, for as long as it may be. */
import { assertNever } from '../../config/errors.ts';
import type { RefusalWatch } from './announcement.ts';
import { Awareness } from './awareness.ts';
import { anchoredCrossing, directCrossing } from './crossing.ts';
import { firstOf, whenAborted } from './first-of.ts';
import { Pair, type Legs, type PairEnd } from './legs.ts';
import { CallLimit } from './limit.ts';
import { mandatedRefusal } from './mandated.ts';
import { leaveMedia, speakAlike } from './media-path.ts';
import { agentDesk, obey, type AgentDesk } from './orders.ts';
import type { Outcome } from './outcome.ts';
import type { SelectedCall } from './selected.ts';
import { watchSilence } from './silence.ts';
import { acknowledge } from './telling.ts';
import { Tape } from './tape.ts';
import { carryArrival, watchIdentities } from './parties.ts';
import { interceptTransfers } from './transfer.ts';
import { whyWithheldFrom } from './withheld.ts';

const never = new AbortController().signal;
/** One period of the tone sounds for 200 ms. */
const noticeMs = 220;
const mediaTimeout = 'SIP;cause=408;text="Media timeout"';

/** Told to the end and not refused is what a recording asks for (I1, I2). */
export interface Told {
  watch: RefusalWatch;
  mayRecord: boolean;
  /** Hears whether a recording runs, and if not, why, before anything else happens. */
  started?: (tape: Tape) => void;
}

/** A pair of legs on its way to its end. */
export interface Talk {
  pair: Pair;
  talking: Promise<PairEnd>;
  limit: CallLimit;
}

/** What the parts of a conversation share. */
export interface Conversation extends Talk {
  call: SelectedCall;
  tape: Tape;
  watch: RefusalWatch;
  desk: AgentDesk;
  state: {
    /** The refusal has been dealt with. */
    refused: boolean;
    /** Media no longer passes here: the media plane died, the parties fax, or we left. */
    away: boolean;
    /** A party would not let us leave. */
    stays: boolean;
  };
}

/** Ties the legs together and carries their conversation. */
export async function bridge(call: SelectedCall, legs: Legs, told: Told): Promise<Outcome> {
  using limit = new CallLimit(call.house);
  const pair = new Pair(legs, directCrossing);
  return await converse(call, { pair, talking: pair.carry(limit.signal), limit }, told);
}

/** From here on both parties talk, until one of them hangs up. */
export async function converse(
  call: SelectedCall,
  talk: Talk,
  { watch, mayRecord, started }: Told,
): Promise<Outcome> {
  const { media, house, listed } = call;
  const { pair, talking } = talk;
  listed.pair = pair;
  const faxed = new AbortController();
  await using tape = new Tape(call);
  const state = { refused: false, away: false, stays: false };
  using desk = agentDesk(call, pair, media);
  const conversation: Conversation = { ...talk, call, tape, watch, state, desk };
  pair.crossing = anchoredCrossing(media, {
    changed: () => tape.follow(media),
    faxed: () => {
      pair.crossing = directCrossing;
      faxed.abort();
    },
  });
  interceptTransfers(call, pair);
  watchIdentities(call, pair);
  state.away = !(await speakAlike(pair, media));
  const withheld = whyWithheldFrom(pair.legs.agent.remoteTarget, call);
  if (withheld !== undefined) tape.detail = withheld;
  else if (!state.away && mayRecord && !watch.refused.aborted) await tape.start();
  listed.state = tape.state;
  const awareness = new Awareness(call, pair);
  started?.(tape);

  const heedRefusal = async (): Promise<void> => {
    if (!watch.refused.aborted || state.refused) return;
    state.refused = true;
    listed.refused = true;
    await tape.refuse(watch);
    if (!state.away && !watch.acknowledged) {
      // Beside the conversation, which goes on: who refused is told, and the agent hears that something has changed.
      void acknowledge(call, watch, pair.ended).catch(() => undefined);
      const briefly = AbortSignal.any([pair.ended, AbortSignal.timeout(noticeMs)]);
      const notice = { plan: house.config.sip.ringingTone, kind: 'notice' } as const;
      void media.agent.playTone(notice, briefly).catch(() => undefined);
    }
    if (call.rule.constraint.onRefusal === 'end-call') talk.limit.end(mandatedRefusal);
  };
  const timeoutMs = house.config.sip.mediaTimeoutSeconds * 1_000;
  const silent = watchSilence({ media, pair, timeoutMs, now: house.now });
  for (let over = false; !over;) {
    listed.state = tape.state;
    if (!state.away) awareness.tell(tape.state);
    if (mayLeave(conversation)) await leave(conversation);
    const turn = await firstOf({
      ended: () => talking,
      refused: whenAborted(state.refused ? never : watch.refused),
      failed: whenAborted(tape.failed),
      lost: whenAborted(state.away ? never : media.lost),
      faxed: whenAborted(state.away ? never : faxed.signal),
      silent: state.away ? whenAborted(never) : silent,
      ordered: (signal) => listed.ordered(signal),
      arrival: (signal) => pair.arrivals.asked(signal),
    });
    // Stopped before the refusal is looked at: one in the same instant as the hang-up still counts (I2).
    if (turn.won === 'ended') {
      await tape.stop();
      if (tape.keeps) await watch.heardOut();
    }
    await heedRefusal();
    switch (turn.won) {
      case 'ended':
        over = true;
        await tape.end('hangup');
        break;
      case 'refused':
        break;
      case 'failed':
        await tape.end('interrupted', 'sink-failed');
        break;
      case 'lost':
        await tape.end('media-lost', 'media-lost');
        await leave(conversation);
        break;
      case 'faxed':
        state.away = true;
        await tape.end('fax');
        await media[Symbol.asyncDispose]();
        break;
      case 'silent':
        fallenSilent(conversation, turn.value === 'dead');
        break;
      case 'ordered':
        await obey(conversation);
        break;
      case 'arrival':
        await carryArrival(conversation, heedRefusal);
        break;
      default:
        assertNever(turn);
    }
  }
  return outcomeOf(conversation, await talking);
}

function outcomeOf({ tape, watch }: Conversation, { by }: PairEnd): Outcome {
  if (watch.refused.aborted) return { kind: 'refused', answered: true, hungUpBy: by, detail: undefined };
  const kind = tape.keeps ? 'recorded' : 'unrecorded';
  return { kind, answered: true, hungUpBy: by, detail: tape.detail };
}

/** We stay in the media of a call of which something is kept: its party may still refuse by key (I2). */
function mayLeave({ call, tape, state }: Conversation): boolean {
  return call.rule.campaign.releaseMedia && !tape.keeps && !state.away && !state.stays;
}

/** Lets media flow directly from now on; where a party does not agree, everything stays as it was. */
async function leave({ call, pair, state }: Conversation): Promise<void> {
  const { media, invite, house } = call;
  const lost = media.lost.aborted;
  const left = await leaveMedia(pair, lost ? undefined : media);
  house.log.info({ call: invite.call, left, lost }, 'leaving the media');
  state.stays = !left;
  state.away = left || lost;
  if (left) await media[Symbol.asyncDispose]();
}

function fallenSilent({ call, limit }: Conversation, dead: boolean): void {
  const { invite, house } = call;
  house.metrics.mediaSilent(dead ? 'both-ways' : 'one-way');
  house.log.warn({ call: invite.call, dead }, dead ? 'peers are silent and gone' : 'one-way audio');
  if (dead) limit.end(mediaTimeout);
}
