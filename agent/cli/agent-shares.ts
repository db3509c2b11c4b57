/**
 * How evenly the sample falls on the staff, pure: from the entries of the ledgers. The draw aims at nobody, so an agent's share wanders about
 * the campaign's; the question is whether it has left the declared band by more than chance (law.md I-10; Code du travail L1121-1).
 */
import type { CallId } from '../../config/units.ts';
import type { LedgerEntry } from '../ledger/ledger.ts';

/** Shares of conversations, 0 to 1. */
export interface Band {
  min: number;
  max: number;
}

export interface AgentShare {
  campaign: string;
  /** Pseudonym. */
  agent: string;
  /** Drawn calls that were answered, and how many of them are recorded. */
  conversations: number;
  recorded: number;
  share: number;
  /** `above` or `below` only where chance does not explain it. */
  verdict: 'within' | 'above' | 'below' | 'no-band';
}

export interface SharesOptions {
  /** First and last day (UTC), inclusive, e.g. `2026-11-01`. */
  from: string;
  to: string;
  campaign?: string | undefined;
  /** By campaign. */
  bands: ReadonlyMap<string, Band>;
}

/** Chance of calling out anybody of a campaign whose agents are all within the band. */
const significance = 0.05;

export function agentShares(entries: Iterable<LedgerEntry>, options: SharesOptions): AgentShare[] {
  const drawn = new Map<CallId, { campaign: string; agent: string }>();
  const tallies = new Map<
    string,
    { campaign: string; agent: string; conversations: number; recorded: number }
  >();
  for (const { at, event } of entries) {
    if (event.kind === 'call.decided') {
      const { campaign, agent, call, draw, day = at.slice(0, 10) } = event;
      if (day < options.from || day > options.to || draw === undefined || agent === undefined) continue;
      if (options.campaign === undefined || options.campaign === campaign)
        drawn.set(call, { campaign, agent });
    }
    if (event.kind !== 'call.ended') continue;
    const of = drawn.get(event.call);
    drawn.delete(event.call);
    if (of === undefined || !event.answered) continue;
    const key = JSON.stringify(of);
    const tally = tallies.get(key) ?? { ...of, conversations: 0, recorded: 0 };
    tally.conversations += 1;
    if (event.recorded) tally.recorded += 1;
    tallies.set(key, tally);
  }
  const rows = [...tallies.values()];
  const agentsOf = Map.groupBy(rows, ({ campaign }) => campaign);
  return rows
    .map((row) => {
      const compared = agentsOf.get(row.campaign)!.length;
      const band = options.bands.get(row.campaign);
      const verdict = band === undefined ? 'no-band' : judge(row, band, significance / (2 * compared));
      return { ...row, share: row.recorded / row.conversations, verdict } as const;
    })
    .sort((one, other) => one.campaign.localeCompare(other.campaign) || other.share - one.share);
}

/** Exact binomial tails against the nearer edge of the band, each at this level (Bonferroni over the agents and both sides). */
function judge(
  { conversations, recorded }: { conversations: number; recorded: number },
  { min, max }: Band,
  level: number,
): 'within' | 'above' | 'below' {
  if (upperTail(conversations, recorded, max) < level) return 'above';
  if (upperTail(conversations, conversations - recorded, 1 - min) < level) return 'below';
  return 'within';
}

/** P(X >= k) of a binomial variable: how likely so many are where each is likely by `p`. */
export function upperTail(n: number, k: number, p: number): number {
  if (k <= 0) return 1;
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  let logTerm = 0;
  for (let i = 0; i < k; i += 1) logTerm += Math.log((n - i) / (i + 1));
  logTerm += k * Math.log(p) + (n - k) * Math.log1p(-p);
  let sum = 0;
  for (let i = k; i <= n; i += 1) {
    sum += Math.exp(logTerm);
    logTerm += Math.log((n - i) / (i + 1)) + Math.log(p) - Math.log1p(-p);
  }
  return Math.min(1, sum);
}
