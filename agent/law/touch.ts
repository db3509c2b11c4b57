/** Which laws touch a call: those of the market, of each outside party's number, of the staff's site, of the controller's
 * seat, and of the places where recordings are stored and heard. */
import type { Campaign } from '../../config/schema.ts';
import type { Block } from './constraint.ts';
import { placeOfNumber } from './numbers.ts';
import { switchedOff, type LawPack, type Reach } from './packs.ts';

/** One way in which a place comes into a call. */
export interface Touch {
  as: 'market' | 'number' | 'site' | 'seat' | 'storage' | 'listening';
  place: string;
}

const reachOf: Record<Touch['as'], Reach> = {
  market: 'market',
  number: 'number',
  site: 'site',
  seat: 'seat',
  storage: 'place',
  listening: 'place',
};

export const touchNames: Record<Touch['as'], string> = {
  market: 'market',
  number: 'number',
  site: "agents' site",
  seat: "controller's seat",
  storage: 'storage',
  listening: 'listening',
};

/** Where recordings of a campaign are kept, and where they are heard. */
export function recordingPlaces(campaign: Campaign): Touch[] {
  const storage = campaign.storagePlaces ?? [campaign.agentsSite];
  const listening = campaign.listeningPlaces ?? [campaign.agentsSite];
  return [
    ...storage.map((place) => ({ as: 'storage' as const, place })),
    ...listening.map((place) => ({ as: 'listening' as const, place })),
  ];
}

/** The places of the outside parties' numbers, sorted; undefined stands for a number that no table knows. */
export function numberPlaces(campaign: Campaign, outside: readonly string[]): (string | undefined)[] {
  const assumed = campaign.unknownNumbers === 'as-market' ? campaign.market : undefined;
  const places = outside.map((number) => placeOfNumber(number, campaign.market) ?? assumed);
  return [...new Set(places)].toSorted((one, other) => ((one ?? '') < (other ?? '') ? -1 : 1));
}

/** Everything that brings a law to a call, in the order in which people name it. */
export function touches(campaign: Campaign, numbers: readonly (string | undefined)[]): Touch[] {
  const known = numbers.filter((place) => place !== undefined);
  return [
    { as: 'market', place: campaign.market },
    ...known.map((place) => ({ as: 'number' as const, place })),
    { as: 'site', place: campaign.agentsSite },
    { as: 'seat', place: campaign.controllerSeat ?? campaign.market },
    ...recordingPlaces(campaign),
  ];
}

export interface TouchingLaw {
  pack: LawPack;
  by: Touch[];
}

/** The packs that touch a call, each with what brought it; and the places whose law is not known. */
export function touchingLaws(
  campaign: Campaign,
  of: readonly Touch[],
  packs: readonly LawPack[],
): { laws: TouchingLaw[]; unknown: Block[] } {
  const found = new Map<LawPack, Touch[]>();
  const unknown: Block[] = [];
  for (const touch of of) {
    const side = touch.as === 'site' ? 'employee' : 'consumer';
    const here = packs.filter((pack) => isLawOf(pack, touch.place, campaign));
    const protecting = here.filter((pack) => pack.side === side);
    // A secrecy law binds whoever records in the country, also with a stranger on the line.
    const secrecy = here.filter(
      (pack) => pack.side !== side && pack.reach?.includes(reachOf[touch.as]) === true,
    );
    if (protecting.length === 0) unknown.push(missing(touch, campaign));
    for (const pack of [...protecting.filter((each) => reaches(each, touch)), ...secrecy]) {
      found.set(pack, [...(found.get(pack) ?? []), touch]);
    }
  }
  const laws = [...found]
    .map(([pack, by]) => ({ pack, by }))
    .toSorted((one, other) => (one.pack.pack < other.pack.pack ? -1 : 1));
  for (const { pack } of laws) {
    const why = switchedOff(pack);
    if (why !== undefined) {
      unknown.push({ kind: 'switched-off', pack: pack.pack, text: `${why} (law.overrides)` });
    }
  }
  return { laws, unknown };
}

function isLawOf(pack: LawPack, place: string, campaign: Campaign): boolean {
  const country = place.slice(0, 2);
  const here = pack.jurisdictions.includes(place) || (pack.parts && pack.jurisdictions.includes(country));
  return (
    here && pack.classes.includes(campaign.class) && (pack.duty === undefined || pack.duty === campaign.duty)
  );
}

function reaches(pack: LawPack, { as }: Touch): boolean {
  return pack.reach === undefined || pack.reach.includes(reachOf[as]);
}

function missing({ as, place }: Touch, campaign: Campaign): Block {
  const duty = campaign.duty === undefined ? '' : `, duty ${campaign.duty}`;
  return {
    kind: 'unknown-law',
    pack: 'campaign',
    text: `no law pack for ${touchNames[as]} ${place}, class ${campaign.class}${duty}: add one in law.overrides`,
  };
}
