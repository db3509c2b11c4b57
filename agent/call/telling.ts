/** Telling the outside party, with its trace: what was played, how far, and how the window ended (I1, I6). */
import type { Side } from '../../config/units.ts';
import { announce, announcementOf, hearRefusal, type Announced, type RefusalWatch } from './announcement.ts';
import { keypadOf } from './keys.ts';
import { lawTogether } from './law-together.ts';
import type { Pair } from './legs.ts';
import type { SelectedCall } from './selected.ts';
import type { Refusal } from '../ledger/ledger.ts';
import { trace } from './trace.ts';
import type { HeardVoice, ListenedTo } from '../../media/voice/voices.ts';

/** Plays the campaign's announcement to an outside party and listens for its refusal. */
export async function tell(
  call: SelectedCall,
  watch: RefusalWatch,
  ended: AbortSignal,
  side: Side = 'caller',
): Promise<Announced | { kind: 'untraced' }> {
  const { media, rule, house, listed } = call;
  listed.state = 'telling';
  const voice = voiceOf(call, watch, side);
  const understood = rule.campaign.refusalVoice === 'recogniser';
  // Words are understood until the call ends; any speech counts only while the announcement is in the air.
  if (understood && voice !== undefined) watch.keep(voice);
  using _heard = understood ? undefined : voice;
  const announced = await announce(media[side], announcementOf(rule, house.now()), watch, ended, voice);
  voice?.told(house.now());
  if (announced.kind === 'no-consent') watch.declined = true;
  if (announced.kind === 'refused') await acknowledge(call, watch, ended, side);
  return (await writeAnnounced(call, announced, watch, side)) ? announced : { kind: 'untraced' };
}

/** Tells whoever refused that it was heard, once; where a refusal ends the call, the end says so. */
export async function acknowledge(
  { media, rule }: SelectedCall,
  watch: RefusalWatch,
  ended: AbortSignal,
  side: Side = 'caller',
): Promise<void> {
  if (watch.acknowledged || rule.refusedPrompt === undefined || rule.constraint.onRefusal === 'end-call')
    return;
  watch.acknowledged = true;
  await media[side].play(rule.refusedPrompt, ended);
}

/**
 * Listens for the party's voice where silence lets a recording begin: whoever speaks then has not let it. Where a yes is asked for, a
 * voice is none; where a refusal ends the call, only a key may do that.
 */
function voiceOf(
  { media, rule, house }: SelectedCall,
  watch: RefusalWatch,
  side: Side,
): ListenedTo | undefined {
  const { mode, onRefusal } = rule.constraint;
  if (rule.campaign.refusalVoice === 'none' || mode === 'consent' || onRefusal === 'end-call')
    return undefined;
  if (house.voices?.hears !== true) return undefined;
  const understood = rule.campaign.refusalVoice === 'recogniser';
  const voice = house.voices.listen(media[side], understood ? rule.language : undefined);
  voice.spoke.addEventListener('abort', () => watch.refuse(evidenceOf(voice.spoke.reason as HeardVoice)));
  return voice;
}

/** What the ledger keeps of what was heard: never the audio. */
function evidenceOf(heard: HeardVoice): Refusal {
  const rounded = (score: number): number => Math.round(score * 100) / 100;
  if (heard.layer === 'any-speech') return { by: 'voice', ...heard, score: rounded(heard.score) };
  return { by: 'voice', ...heard, score: heard.score === undefined ? undefined : rounded(heard.score) };
}

/**
 * Tells the party that is on one side now. Who came in is heard from now on, for itself and for the call; the one who was there
 * from the beginning has been heard all along.
 */
export async function tellParty(
  call: SelectedCall,
  pair: Pair,
  watch: RefusalWatch,
  side: Side,
): Promise<Announced | { kind: 'untraced' }> {
  const { media, house } = call;
  if (pair.replaced.size > 0) call.rule = lawTogether(call, pair, side);
  if (side === 'caller' && !pair.replaced.has(side)) return await tell(call, watch, pair.ended);
  const keypad = keypadOf(media[side], pair.legs[side], house.now);
  const theirs = hearRefusal(keypad, call.rule.campaign.refusalKeys, house.now());
  watch.join(theirs);
  const announced = await tell(call, theirs, pair.ended, side);
  watch.traced ||= theirs.traced;
  watch.declined ||= theirs.declined;
  return announced;
}

/** Tells everybody who is outside, one after the other; what the first that was not told answered, or the last. */
export async function tellEverybody(
  call: SelectedCall,
  pair: Pair,
  watch: RefusalWatch,
): Promise<Announced | { kind: 'untraced' }> {
  let announced = await tellParty(call, pair, watch, 'caller');
  for (const side of call.listed.outside.keys()) {
    if (side === 'caller' || announced.kind !== 'told') continue;
    announced = await tellParty(call, pair, watch, side);
  }
  return announced;
}

/** Writes what was played and how the window ended; false when it cannot be written: nothing may then be recorded (I6). */
async function writeAnnounced(
  { invite, rule, house }: SelectedCall,
  announced: Announced,
  watch: RefusalWatch,
  side: Side,
): Promise<boolean> {
  if (announced.kind === 'refused' && !(await writeRefusal({ invite, house }, watch))) return false;
  if (!('played' in announced) || announced.played === undefined) return true;
  const { name, hash } = rule.prompt;
  const { played } = announced;
  const whom = side === 'caller' ? {} : { side };
  if (!(await trace(house, { kind: 'call.told', call: invite.call, prompt: name, hash, ...whom, ...played })))
    return false;
  if (announced.kind !== 'told' || announced.consent === undefined) return true;
  return await trace(house, { kind: 'call.consented', call: invite.call, by: announced.consent });
}

/** Writes who refused and how, once. */
export async function writeRefusal(
  { invite, house }: Pick<SelectedCall, 'invite' | 'house'>,
  watch: RefusalWatch,
): Promise<boolean> {
  const { refusal } = watch;
  if (refusal === undefined || watch.traced) return true;
  watch.traced = true;
  house.metrics.refusal(refusal.by);
  house.log.info({ call: invite.call, by: refusal.by }, 'caller refused');
  return await trace(house, { kind: 'call.refused', call: invite.call, by: refusal });
}
