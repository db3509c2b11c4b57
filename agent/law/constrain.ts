/** How laws combine: pure, from packs to the constraint on a campaign. */
import { consentMode, type Campaign, type ConsentMode } from '../../config/schema.ts';
import { LawConflict, LawUnknown, type Constraint, type Reason } from './constraint.ts';
import { packId, type LawPack } from './packs.ts';

/**
 * Combines the packs of the campaign's market (consumer side) and of its site (employee side): the strictest mode, the
 * smallest rate, the shortest retention.
 *
 * @throws LawUnknown, LawConflict
 */
export function constrain(campaign: Campaign, packs: readonly LawPack[]): Constraint {
  const applied = [
    ...applicable(campaign, packs, 'consumer', campaign.market),
    ...applicable(campaign, packs, 'employee', campaign.agentsSite),
  ];
  const modes = applied.map((pack) => ({ pack: packId(pack), value: pack.mode }));
  const rates = [{ pack: 'campaign', value: campaign.rate }, ...valuesOf(applied, 'rate_cap')];
  const days = [{ pack: 'campaign', value: campaign.retentionDays }, ...valuesOf(applied, 'keep_max_days')];
  const mode = modes.reduce((one, other) => (strictness(other.value) > strictness(one.value) ? other : one));
  const rate = least(rates);
  const retention = least(days);
  const monthly = valuesOf(applied, 'keep_max_months');
  const months = monthly.length === 0 ? undefined : least(monthly);
  const because: Reason[] = [
    { value: 'mode', pack: mode.pack, text: `mode "${mode.value}" is the strictest, by ${mode.pack}` },
    { value: 'rate', pack: rate.pack, text: `at most ${rate.value} of the conversations, by ${rate.pack}` },
    {
      value: 'retentionDays',
      pack: retention.pack,
      text: `kept ${retention.value} days at most, by ${retention.pack}`,
    },
  ];
  if (months !== undefined) {
    const text = `kept ${months.value} calendar months at most, by ${months.pack}`;
    because.push({ value: 'retentionMonths', pack: months.pack, text });
  }
  refuseContradiction(campaign, applied, because);
  return {
    mode: mode.value,
    rate: rate.value,
    retentionDays: retention.value,
    retentionMonths: months?.value,
    packs: applied.map(packId),
    because,
  };
}

/**
 * What a person should know about a campaign's law although it does not stop it: packs that nobody signed off or whose
 * review is due, and a rate that amounts to recording everything.
 *
 * @param today ISO 8601 date
 */
export function concerns(campaign: Campaign, packs: readonly LawPack[], today: string): string[] {
  const { packs: ids, rate } = constrain(campaign, packs);
  return packs
    .filter((pack) => ids.includes(packId(pack)))
    .flatMap((pack) => [
      ...(pack.signed_by === 'unsigned' ? [`${packId(pack)} is not signed off by counsel`] : []),
      ...(pack.review_by < today ? [`${packId(pack)} was due for review by ${pack.review_by}`] : []),
      ...(pack.systematic === 'needs-legal-text' && rate >= 1
        ? [`${packId(pack)}: recording every conversation needs a law that orders it`]
        : []),
    ]);
}

function applicable(
  campaign: Campaign,
  packs: readonly LawPack[],
  party: LawPack['party'],
  country: string,
): LawPack[] {
  const ofParty = packs.filter((pack) => pack.party === party);
  const found = ofParty.filter((pack) => pack.country === country && pack.classes.includes(campaign.class));
  if (found.length > 0) return found;
  const side = party === 'consumer' ? 'market' : 'agentsSite';
  const known = ofParty.map((pack) => `${pack.country} (${pack.classes.join(', ')})`).join('; ') || 'none';
  throw new LawUnknown(campaign.name, `${side} ${country}, class ${campaign.class}`, known);
}

interface Given {
  pack: string;
  value: number;
}

function valuesOf(packs: readonly LawPack[], key: 'rate_cap' | 'keep_max_days' | 'keep_max_months'): Given[] {
  return packs.flatMap((pack) => {
    const value = pack[key];
    return value === undefined ? [] : [{ pack: packId(pack), value }];
  });
}

function least(values: Given[]): Given {
  return values.reduce((one, other) => (other.value < one.value ? other : one));
}

function strictness(mode: ConsentMode): number {
  return consentMode.options.indexOf(mode);
}

/** A law's minimum against the shortest of the maxima; a calendar month is taken as its shortest, 28 days. */
function refuseContradiction(
  campaign: Campaign,
  applied: readonly LawPack[],
  because: readonly Reason[],
): void {
  const caps = because.filter(({ value }) => value === 'retentionDays' || value === 'retentionMonths');
  for (const pack of applied) {
    const minimum = pack.keep_min_days;
    if (minimum === undefined) continue;
    for (const cap of caps) {
      const given = applied.find((other) => packId(other) === cap.pack);
      const days =
        cap.value === 'retentionMonths'
          ? (given?.keep_max_months ?? 0) * 28
          : (given?.keep_max_days ?? campaign.retentionDays);
      if (days >= minimum) continue;
      const text = `${packId(pack)} asks to keep ${minimum} days at least`;
      throw new LawConflict(campaign.name, { value: 'retentionDays', pack: packId(pack), text }, cap);
    }
  }
}
