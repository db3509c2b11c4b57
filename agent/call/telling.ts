/** Telling the outside party, with its trace: what was played, how far, and how the window ended (I1, I6). */
import type { Side } from '../../config/units.ts';
import { announce, announcementOf, type Announced, type RefusalWatch } from './announcement.ts';
import type { SelectedCall } from './selected.ts';
import { trace } from './trace.ts';

/** Plays the campaign's announcement to an outside party and listens for its refusal. */
export async function tell(
  call: SelectedCall,
  watch: RefusalWatch,
  ended: AbortSignal,
  side: Side = 'caller',
): Promise<Announced | { kind: 'untraced' }> {
  const { media, rule, house, listed } = call;
  listed.state = 'telling';
  const announced = await announce(media[side], announcementOf(rule, house.now()), watch, ended);
  if (announced.kind === 'no-consent') watch.declined = true;
  return (await writeAnnounced(call, announced, watch)) ? announced : { kind: 'untraced' };
}

/** Writes what was played and how the window ended; false when it cannot be written: nothing may then be recorded (I6). */
async function writeAnnounced(
  { invite, rule, house }: SelectedCall,
  announced: Announced,
  watch: RefusalWatch,
): Promise<boolean> {
  if (announced.kind === 'refused' && !(await writeRefusal({ invite, house }, watch))) return false;
  if (!('played' in announced) || announced.played === undefined) return true;
  const { name, hash } = rule.prompt;
  const { played } = announced;
  if (!(await trace(house, { kind: 'call.told', call: invite.call, prompt: name, hash, ...played })))
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
