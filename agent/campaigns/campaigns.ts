/**
 * How a call finds its campaign. Everything a campaign's `match` gives must hold; among the campaigns that match, the most
 * specific wins, in this order:
 *
 * 1. an exact number (called or caller) before a range, a range before a prefix, a prefix before header or trunk alone;
 * 2. among ranges, the one of fewest numbers; among prefixes, the longest;
 * 3. the campaign that asks for more things at once (called, caller, header, trunk, times);
 * 4. the one that stands first in the file.
 *
 * Outside its times a campaign claims nothing, so that another can (a night line, a campaign that ends in the evening).
 * Numbers are compared as `config/number.ts` normalises them. All from memory: the INVITE path awaits nothing here.
 */
import { normaliseNumber } from '../../config/number.ts';
import { rangeOf, type Campaign } from '../../config/schema.ts';
import { prefixesOf } from './range.ts';
import { isOpen } from './times.ts';

/** What a campaign can be told by. */
export interface InviteFacts {
  direction: 'inbound' | 'outbound';
  called: string;
  caller: string;
  /** Value of a SIP header, whatever the case of its name; undefined when the INVITE has none. */
  header: (name: string) => string | undefined;
  /** Name of the peer that the call came from. */
  trunk: string;
}

type Kind = 'exact' | 'range' | 'prefix';

interface Pattern {
  kind: Kind;
  /** The number, or the beginning under which the pattern is filed. */
  digits: string;
  /** Length of a number that fits; undefined fits any. */
  length: number | undefined;
  /** Length of the beginning that all numbers share, or would if a range were one; greater is more specific. */
  closeness: number;
}

/** One way in which a campaign can match: one called and one caller pattern out of its lists. */
interface Claim {
  campaign: Campaign;
  /** Position in the file. */
  position: number;
  called: Pattern | undefined;
  caller: Pattern | undefined;
  /** Greater is more specific, compared from left to right. */
  weight: readonly [kind: number, closeness: number, criteria: number];
}

/** Claims of one direction, filed under the number that they ask for. */
interface Index {
  calledExact: Map<string, Claim[]>;
  calledPrefix: Map<string, Claim[]>;
  callerExact: Map<string, Claim[]>;
  callerPrefix: Map<string, Claim[]>;
  /** Claims by header or trunk alone. */
  rest: Claim[];
}

export class Campaigns {
  readonly all: readonly Campaign[];
  readonly #now: () => Date;
  readonly #index: Record<InviteFacts['direction'], Index>;

  /** @param now for campaigns that have times */
  constructor(campaigns: readonly Campaign[], now: () => Date = () => new Date()) {
    this.all = campaigns;
    this.#now = now;
    this.#index = { inbound: emptyIndex(), outbound: emptyIndex() };
    for (const [position, campaign] of campaigns.entries()) {
      const index = this.#index[campaign.direction];
      for (const claim of claimsOf(campaign, position)) file(claim, index);
    }
  }

  /** The campaign of a call; undefined when none claims it: it is then never recorded. */
  match(invite: InviteFacts): Campaign | undefined {
    const called = normaliseNumber(invite.called);
    const caller = normaliseNumber(invite.caller);
    const index = this.#index[invite.direction];
    let best: Claim | undefined;
    for (const claim of candidates(index, called, caller)) {
      if (!holds(claim, called, caller, invite)) continue;
      if (best !== undefined && !isBefore(claim, best)) continue;
      const { times } = claim.campaign.match;
      if (times === undefined || isOpen(times, this.#now())) best = claim;
    }
    return best?.campaign;
  }
}

function* candidates(index: Index, called: string, caller: string): Generator<Claim> {
  yield* index.calledExact.get(called) ?? [];
  yield* index.callerExact.get(caller) ?? [];
  yield* underPrefixes(index.calledPrefix, called);
  yield* underPrefixes(index.callerPrefix, caller);
  yield* index.rest;
}

function* underPrefixes(filed: Map<string, Claim[]>, number: string): Generator<Claim> {
  if (filed.size === 0) return;
  for (let length = number.length; length >= 0; length -= 1) yield* filed.get(number.slice(0, length)) ?? [];
}

function holds(claim: Claim, called: string, caller: string, invite: InviteFacts): boolean {
  const { header, trunk } = claim.campaign.match;
  return (
    fits(claim.called, called) &&
    fits(claim.caller, caller) &&
    (trunk === undefined || trunk === invite.trunk) &&
    (header === undefined || invite.header(header.name)?.trim() === header.value)
  );
}

function fits(pattern: Pattern | undefined, number: string): boolean {
  if (pattern === undefined) return true;
  return (
    number.startsWith(pattern.digits) && (pattern.length === undefined || number.length === pattern.length)
  );
}

function isBefore(one: Claim, other: Claim): boolean {
  for (const [index, weight] of one.weight.entries()) {
    const difference = weight - other.weight[index]!;
    if (difference !== 0) return difference > 0;
  }
  return one.position < other.position;
}

/** From header or trunk alone to the most specific. */
const kinds: readonly (Kind | 'none')[] = ['none', 'prefix', 'range', 'exact'];

function claimsOf(campaign: Campaign, position: number): Claim[] {
  const { match } = campaign;
  const criteria = Object.values(match).filter((part) => part !== undefined).length;
  return patternsOf(match.called).flatMap((called) =>
    patternsOf(match.caller).map((caller) => {
      const patterns = [called, caller].filter((pattern) => pattern !== undefined);
      const kind = Math.max(0, ...patterns.map((each) => kinds.indexOf(each.kind)));
      const loose = patterns.filter((each) => each.kind !== 'exact');
      const closeness = Math.max(0, ...loose.map((each) => each.closeness));
      return { campaign, position, called, caller, weight: [kind, closeness, criteria] as const };
    }),
  );
}

function patternsOf(written: readonly string[] | undefined): (Pattern | undefined)[] {
  if (written === undefined) return [undefined];
  return written.flatMap((each): Pattern[] => {
    const range = rangeOf(each);
    if (range !== undefined) {
      const length = range.sign.length + range.from.length;
      const size = Number(range.to) - Number(range.from) + 1;
      return prefixesOf(range).map((digits) => ({
        kind: 'range',
        digits,
        length,
        closeness: length - Math.log10(size),
      }));
    }
    if (each.endsWith('*')) {
      const digits = normaliseNumber(each.slice(0, -1));
      return [{ kind: 'prefix', digits, length: undefined, closeness: digits.length }];
    }
    const digits = normaliseNumber(each);
    return [{ kind: 'exact', digits, length: digits.length, closeness: 0 }];
  });
}

function file(claim: Claim, index: Index): void {
  const [anchor, exact, prefix] =
    claim.called === undefined
      ? ([claim.caller, index.callerExact, index.callerPrefix] as const)
      : ([claim.called, index.calledExact, index.calledPrefix] as const);
  if (anchor === undefined) {
    index.rest.push(claim);
    return;
  }
  const shelf = anchor.kind === 'exact' ? exact : prefix;
  const claims = shelf.get(anchor.digits);
  if (claims === undefined) shelf.set(anchor.digits, [claim]);
  else claims.push(claim);
}

function emptyIndex(): Index {
  return {
    calledExact: new Map(),
    calledPrefix: new Map(),
    callerExact: new Map(),
    callerPrefix: new Map(),
    rest: [],
  };
}
