/** The law of a call whose parties have changed: that of everybody who is outside now, the strictest of each (I2, I5). */
import type { Side } from '../../config/units.ts';
import type { Pair } from './legs.ts';
import type { Newcomer } from './newcomer.ts';
import type { CampaignRule } from './rules.ts';
import type { SelectedCall } from './selected.ts';

type RuledCall = Pick<SelectedCall, 'rule' | 'house' | 'invite' | 'listed'>;

/**
 * The rule of a call's campaign, as it was when the call began, under the laws of all its outside parties.
 *
 * @param addressee whose language the announcement is in
 */
export function lawTogether(
  { rule, house, invite, listed }: RuledCall,
  { replaced }: Pick<Pair, 'replaced'>,
  addressee: Side,
): CampaignRule {
  const together = house.ruleFor(rule.campaign, {
    outside: [...listed.outside.values()],
    addressee: listed.outside.get(addressee),
    // The language chosen in the IVR is that of the one who called in.
    header: (name) => (replaced.has(addressee) ? undefined : invite.header(name)),
    today: new Date(house.now() / 1_000).toISOString().slice(0, 10),
  });
  return { ...together, withheld: rule.withheld };
}

/** Why a recording cannot go on with the newcomer; whether it was told is not asked here. */
export function whyNotTogether(
  { rule, house, listed }: RuledCall,
  { number, peer, refused }: Pick<Newcomer, 'number' | 'peer' | 'refused'>,
): 'no-outside-party' | 'refused-before' | 'law' | 'objection' | undefined {
  if (listed.outside.size === 0) return 'no-outside-party';
  if (refused) return 'refused-before';
  if (rule.constraint.blocked.length > 0) return 'law';
  const objects = peer.kind === 'trunk' && house.live.state.objects(number, rule.campaign.purpose);
  return objects ? 'objection' : undefined;
}
