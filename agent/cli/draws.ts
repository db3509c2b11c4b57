/**
 * The draws of a day taken again, pure: from the entries of the ledgers and the keys that they reveal. What is asked:
 *
 * - the key was committed before its first draw and is what was committed;
 * - the call was counted on the day, and in the month, that it was in the campaign's time zone;
 * - the uniform number is the key's and the call's; the decision is the rule's (`agent/sampling/gate.ts`);
 * - within a run no number is missing, none comes twice;
 * - no credit is higher than the conversations of the ledger can have earned.
 */
import type { Rate } from '../../config/units.ts';
import type { DrawEvidence, LedgerEntry, LedgerEvent } from '../ledger/ledger.ts';
import { commitmentOf, keyIdOf, uniformOf } from '../sampling/draw-keys.ts';
import { dayOf, inPartsPerMillion, isSelected, partsPerMillion } from '../sampling/gate.ts';

export interface DrawAudit {
  /** Decisions of the day that rest on a draw. */
  draws: number;
  /** Of these, taken again from the revealed key. */
  recomputed: number;
  mismatches: number;
  /** What does not hold, one sentence each. */
  findings: string[];
  /** What an auditor should know and is no fault. */
  notes: string[];
}

type Of<Kind extends LedgerEvent['kind']> = Extract<LedgerEvent, { kind: Kind }>;
type Decided = Of<'call.decided'>;
interface Drawn {
  at: string;
  event: Decided & { draw: DrawEvidence };
}

/** Whether one decision follows from what the entry says it was taken on; undefined when it does. */
export function contradictionOf({ reason, selected, rate, draw }: Decided): string | undefined {
  if (draw === undefined) return selected ? 'was selected without a draw' : undefined;
  if (reason !== 'quota') return selected ? 'was selected though its draw was not granted' : undefined;
  if (draw.ppm > inPartsPerMillion(rate as Rate)) return 'was drawn at a higher rate than its entry names';
  if (isSelected(draw, draw, draw.uniform) === selected) return undefined;
  return selected ? 'was selected against its draw' : 'was passed over against its draw';
}

/**
 * @param entries of one ledger or of several, each checked before; in the order of their ledger
 * @param day of the campaigns' time zones, e.g. `2026-11-26`; that of the key where the entry names none
 * @param partial the ledgers of some agents are not there: numbers may be missing
 */
export function auditDraws(
  entries: readonly LedgerEntry[],
  day: string,
  { partial = false }: { partial?: boolean } = {},
): DrawAudit {
  const keys = readKeys(entries);
  const all = entries.flatMap(({ at, event }): Drawn[] =>
    event.kind === 'call.decided' && event.draw !== undefined
      ? [{ at, event: { ...event, draw: event.draw } }]
      : [],
  );
  const ofDay = all.filter(
    ({ at, event }) => (event.day ?? keys.get(event.draw.key)?.day ?? at.slice(0, 10)) === day,
  );
  const findings: string[] = [];
  const notes = new Set<string>();
  let recomputed = 0;
  for (const { at, event } of ofDay) {
    const wrong =
      contradictionOf(event) ?? dayFinding(at, event) ?? keyFinding(event, keys.get(event.draw.key), notes);
    if (wrong !== undefined) findings.push(`call ${event.call} ${wrong}`);
    if (keys.get(event.draw.key)?.secret !== undefined) recomputed += 1;
  }
  const used = new Set(ofDay.map(({ event }) => event.draw.key));
  for (const [id, key] of keys) {
    if (key.day === day || used.has(id)) findings.push(...key.faults);
  }
  const undrawn = entries.flatMap(({ event }) =>
    event.kind === 'call.decided' && event.reason === 'unavailable' && event.draw === undefined
      ? [event]
      : [],
  );
  const days = new Set(ofDay.map(({ event }) => event.call));
  const ends = endsOf(entries);
  for (const drawn of Map.groupBy(all, ({ event }) => `${event.campaign} in ${event.epoch}`).values()) {
    if (!drawn.some(({ event }) => days.has(event.call))) continue;
    findings.push(...numberFindings(drawn, undrawn, days, partial));
    if (!partial) findings.push(...creditFindings(drawn, undrawn, ends, days));
  }
  return { draws: ofDay.length, recomputed, mismatches: findings.length, findings, notes: [...notes] };
}

interface Key {
  day: string;
  commitment: string;
  /** Where in its ledger it was committed. */
  sequence: number;
  at: string;
  secret: Buffer | undefined;
  faults: string[];
}

function readKeys(entries: readonly LedgerEntry[]): Map<string, Key> {
  const keys = new Map<string, Key>();
  for (const { event, sequence, at } of entries) {
    if (event.kind !== 'sampling.key-committed') continue;
    const { day, key, commitment } = event;
    const faults = keyIdOf(commitment) === key ? [] : [`key ${key} is not named after its commitment`];
    if (!keys.has(key)) keys.set(key, { day, commitment, sequence, at, secret: undefined, faults });
  }
  for (const { event, at } of entries) {
    if (event.kind !== 'sampling.key-revealed') continue;
    const key = keys.get(event.key);
    if (key === undefined) continue;
    const secret = Buffer.from(event.secret, 'hex');
    if (commitmentOf(secret) === key.commitment) key.secret = secret;
    else key.faults.push(`key ${event.key} was revealed as another than was committed`);
    if (at.slice(0, 10) <= key.day) key.faults.push(`key ${event.key} was revealed before its day was over`);
  }
  return keys;
}

/** How long a draw may wait for its entry. */
const writtenWithinMs = 60_000;

function dayFinding(at: string, { day, epoch, timeZone }: Decided): string | undefined {
  if (day === undefined) return undefined;
  const written = Date.parse(at);
  const days = [written, written - writtenWithinMs].map((instant) => dayOf(new Date(instant), timeZone));
  if (days.includes(day) && day.startsWith(epoch)) return undefined;
  return `was counted on ${day} in ${epoch}, and was drawn on ${days[0]} (${timeZone ?? 'UTC'})`;
}

function keyFinding(
  { call, draw }: Drawn['event'],
  key: Key | undefined,
  notes: Set<string>,
): string | undefined {
  if (key === undefined) return 'was drawn with a key that no ledger committed';
  if (key.at.slice(0, 10) >= key.day) {
    notes.add(`key ${draw.key} was committed on its own day, before its first draw: the agent had been away`);
  }
  if (key.secret === undefined) {
    notes.add(`key ${draw.key} is not revealed yet`);
    return undefined;
  }
  return uniformOf(key.secret, call) === draw.uniform ? undefined : 'has another number than its key gives';
}

/** Gaps and repeats in the numbering of each run, where they touch the day. */
function numberFindings(
  drawn: readonly Drawn[],
  undrawn: readonly Decided[],
  ofDay: ReadonlySet<string>,
  partial: boolean,
): string[] {
  const findings: string[] = [];
  let missing = 0;
  for (const run of Map.groupBy(drawn, ({ event }) => event.draw.run).values()) {
    const sorted = run.toSorted((one, other) => one.event.draw.sequence - other.event.draw.sequence);
    for (const [index, { event }] of sorted.entries()) {
      const before = sorted[index - 1]?.event;
      if (before === undefined || !(ofDay.has(event.call) || ofDay.has(before.call))) continue;
      const step = event.draw.sequence - before.draw.sequence;
      if (step === 0) findings.push(`call ${event.call} has the number of another draw`);
      else missing += step - 1;
    }
  }
  // A call whose answer came too late is in the ledger without the number that it took.
  const { campaign, epoch } = drawn[0]!.event;
  const excused = undrawn.filter((event) => event.campaign === campaign && event.epoch === epoch).length;
  if (!partial && missing > excused) {
    findings.push(`${missing - excused} draws of campaign ${campaign} have no entry`);
  }
  return findings;
}

interface End {
  answered: boolean;
  recorded: boolean;
}

function endsOf(entries: readonly LedgerEntry[]): Map<string, End> {
  const ends = new Map<string, End>();
  for (const { event } of entries) if (event.kind === 'call.ended') ends.set(event.call, event);
  return ends;
}

/** A credit above what all earlier calls of the month can have earned was not earned. */
function creditFindings(
  drawn: readonly Drawn[],
  undrawn: readonly Decided[],
  ends: ReadonlyMap<string, End>,
  ofDay: ReadonlySet<string>,
): string[] {
  const runs = [...Map.groupBy(drawn, ({ event }) => event.draw.run).values()];
  const ordered = runs.flatMap((run) =>
    run.toSorted((one, other) => one.event.draw.sequence - other.event.draw.sequence),
  );
  const { campaign, epoch } = drawn[0]!.event;
  let most = ordered[0]!.event.draw.sequence === 1 ? 0 : ordered[0]!.event.draw.credit;
  for (const event of undrawn) {
    if (event.campaign === campaign && event.epoch === epoch && ends.get(event.call)?.answered !== false) {
      most += inPartsPerMillion(event.rate as Rate);
    }
  }
  const findings: string[] = [];
  for (const { event } of ordered) {
    if (event.draw.credit > most && ofDay.has(event.call)) {
      findings.push(`call ${event.call} was drawn on more credit than the calls before it earned`);
    }
    most += mostEarned(event, ends.get(event.call));
  }
  return findings;
}

/** What a call moved its campaign's credit by in the end, at most. */
function mostEarned({ selected, draw }: Drawn['event'], end: End | undefined): number {
  if (!selected) return end?.answered === false ? 0 : draw.ppm;
  return end?.recorded === true ? draw.ppm - partsPerMillion : end?.answered === false ? 0 : draw.ppm;
}
