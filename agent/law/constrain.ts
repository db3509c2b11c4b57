/** How laws combine: pure, from packs to the constraint on a call (law set, then the strictest of each value). */
import type { Campaign } from '../../config/schema.ts';
import { askedBy, nothingAsked, strictest, type Asked, type Given } from './asked.ts';
import type { Block, Constraint, Reason } from './constraint.ts';
import { gateState, type GateState } from './gates.ts';
import type { LawBook } from './load.ts';
import { lapsesOn, packId, reviewOf, type LawPack } from './packs.ts';
import { keepConflicts } from './retention.ts';
import { numberPlaces, recordingPlaces, touches, touchingLaws } from './touch.ts';
import { tableId, transferTo } from './transfers.ts';

/** What of a call brings laws with it. */
export interface CallFacts {
  /** Numbers of the outside parties, as on the wire; empty for the campaign by itself. */
  outside: readonly string[];
  /** ISO 8601 date: reviews, decisions and consultations have their days. */
  today: string;
}

/** Retention of a campaign that says none, days; the six months of its usual class. */
export const usualRetentionDays = 183;

/**
 * The constraint on a call of a campaign: every law that touches it, and of each value the strictest. What is not known
 * (a number's country, a place's law, a pack without counsel's values) is no permission: consent, and rate 0.
 */
export function constrain(campaign: Campaign, call: CallFacts, book: LawBook): Constraint {
  return constrainPlaces(campaign, numberPlaces(campaign, call.outside), call.today, book);
}

/** The same by the places of the numbers: what a cache can hold on to. Undefined is a number of no known country. */
export function constrainPlaces(
  campaign: Campaign,
  numbers: readonly (string | undefined)[],
  today: string,
  book: LawBook,
): Constraint {
  const { laws, unknown } = touchingLaws(campaign, touches(campaign, numbers), book.packs);
  const packs = laws.map(({ pack }) => pack);
  const asked = packs.map((pack) => askedBy(pack, campaign.direction)).reduce(strictest, declared(campaign));
  const gates = asked.gates.map(({ value, pack }) => gateState(value, pack, campaign, today));
  const blocked = [
    ...(numbers.includes(undefined) ? [unknownNumber] : []),
    ...unknown,
    ...lapsed(campaign, packs, today, book),
    ...keepConflicts(asked).map((each) => ({ kind: 'conflict' as const, ...each })),
    ...(asked.keepMaxDays === undefined && asked.keepMaxMonths === undefined ? [endless] : []),
    ...transferBlocks(campaign, packs, today, book),
    ...systematicBlocks(campaign, asked),
    ...unsupported(asked),
    ...gateBlocks(gates, book),
  ];
  return {
    ...effective(campaign, asked, blocked),
    notice: asked.notice.map(({ value }) => value),
    forbid: asked.forbid.map(({ value }) => value),
    gates,
    blocked,
    packs: packs.map(packId),
    because: reasons(asked, blocked),
  };
}

const unknownNumber: Block = {
  kind: 'unknown-number',
  pack: 'campaign',
  text: 'the number of an outside party is withheld or of no known country: unknownNumbers decides',
};

const endless: Block = {
  kind: 'unknown-law',
  pack: 'campaign',
  text: 'no law and no retentionDays says how long it may be kept',
};

/** What the campaign asks of itself, as one more law. */
function declared(campaign: Campaign): Asked {
  const given = <Value>(value: Value): Given<Value> => ({ value, pack: 'campaign' });
  const days = campaign.retentionDays ?? (campaign.class === 'mandated' ? undefined : usualRetentionDays);
  return {
    ...nothingAsked,
    rate: given(campaign.rate),
    keepMaxDays: days === undefined ? undefined : given(days),
    // GDPR Art. 28(3)(a): a processor records on documented instruction only.
    gates: campaign.processor === undefined ? [] : [given('instruction')],
  };
}

function effective(campaign: Campaign, asked: Asked, blocked: readonly Block[]) {
  const rate = blocked.length > 0 ? 0 : (asked.rate?.value ?? 0);
  return {
    mode: blocked.length > 0 ? ('consent' as const) : (asked.mode?.value ?? 'consent'),
    rate,
    drawnRate: campaign.trigger === 'on-demand' ? 0 : rate,
    retentionDays: asked.keepMaxDays?.value,
    retentionMonths: asked.keepMaxMonths?.value,
    afterSignatureMonths: asked.afterSignatureMonths?.value,
    onRefusal: asked.onRefusal?.value ?? 'continue-unrecorded',
    promptInsideRecording: asked.promptInRecording !== undefined,
  };
}

function reasons(asked: Asked, blocked: readonly Block[]): Reason[] {
  const { mode, rate, keepMaxDays, keepMaxMonths, onRefusal, promptInRecording } = asked;
  const found: Reason[] = blocked.map(({ pack, text }) => ({ value: 'blocked', pack, text }));
  const say = (value: Reason['value'], given: Given<unknown> | undefined, text: string): unknown =>
    given === undefined
      ? undefined
      : found.push({ value, pack: given.pack, text: `${text}, by ${given.pack}` });
  say('mode', mode, `mode "${mode?.value}" is the strictest`);
  say('rate', rate, `at most ${rate?.value} of the conversations`);
  say('retentionDays', keepMaxDays, `kept ${keepMaxDays?.value} days at most`);
  say('retentionMonths', keepMaxMonths, `kept ${keepMaxMonths?.value} calendar months at most`);
  if (onRefusal?.value === 'end-call') say('onRefusal', onRefusal, 'a refusal ends the call');
  say('promptInsideRecording', promptInRecording, 'the recording begins with the announcement');
  return found;
}

/** A text past its review date and its grace carries no new campaign; one declared before goes on, with a warning. */
function lapsed(campaign: Campaign, packs: readonly LawPack[], today: string, book: LawBook): Block[] {
  return reviewed(packs, book).flatMap(({ id, review_by }) => {
    if (reviewOf({ review_by }, today, book.graceDays) !== 'lapsed') return [];
    const end = lapsesOn(review_by, book.graceDays);
    if (campaign.declaredOn !== undefined && campaign.declaredOn <= end) return [];
    const text = `${id} was due for review by ${review_by} and carries no campaign declared after ${end} (declaredOn)`;
    return [{ kind: 'lapsed' as const, pack: id, text }];
  });
}

/** Everything dated that a campaign rests on: its packs, and the table of transfers where the GDPR touches it. */
function reviewed(packs: readonly LawPack[], { transfers }: LawBook): { id: string; review_by: string }[] {
  const dated = packs.map((pack) => ({ id: packId(pack), review_by: pack.review_by }));
  if (!underGdpr(packs)) return dated;
  return [...dated, { id: tableId(transfers), review_by: transfers.review_by }];
}

function underGdpr(packs: readonly LawPack[]): boolean {
  return packs.some(({ regime }) => regime === 'gdpr');
}

function transferBlocks(
  campaign: Campaign,
  packs: readonly LawPack[],
  today: string,
  book: LawBook,
): Block[] {
  if (!underGdpr(packs)) return [];
  return recordingPlaces(campaign).flatMap(({ as, place }) => {
    const verdict = transferTo(place, campaign.transfers, book.transfers, today);
    if (verdict.allowed) return [];
    return [
      { kind: 'transfer' as const, pack: tableId(book.transfers), text: `${as} in ${place}: ${verdict.why}` },
    ];
  });
}

function systematicBlocks(campaign: Campaign, { systematic, rate }: Asked): Block[] {
  if (systematic?.value !== 'needs-legal-text' || (rate?.value ?? 0) < 1 || campaign.legalText !== undefined)
    return [];
  const text = `recording every conversation needs a law that orders it (legalText), by ${systematic.pack}`;
  return [{ kind: 'systematic', pack: systematic.pack, text }];
}

/** The store cannot put our prompt at the head of a recording yet; a law that asks for it is not half obeyed. */
function unsupported({ promptInRecording }: Asked): Block[] {
  if (promptInRecording === undefined) return [];
  const { pack } = promptInRecording;
  const text = `${pack} wants the announcement itself in the recording, which this release does not write`;
  return [{ kind: 'unsupported', pack, text }];
}

function gateBlocks(gates: readonly GateState[], book: LawBook): Block[] {
  if (book.gates === 'warn') return [];
  return gates
    .filter(({ open }) => !open)
    .map(({ gate, pack, by }) => ({ kind: 'gate', pack, text: `${gate} is asked for by ${pack}: ${by}` }));
}

/**
 * What a person should know about a campaign's law although it does not stop it: packs that nobody signed off or whose
 * review is due, and gates that are closed.
 */
export function concerns(campaign: Campaign, today: string, book: LawBook): string[] {
  const { gates, packs: ids } = constrain(campaign, { outside: [], today }, book);
  const packs = book.packs.filter((pack) => ids.includes(packId(pack)));
  const closed = book.gates === 'warn' ? gates.filter(({ open }) => !open) : [];
  return [
    ...packs
      .filter(({ signed_by }) => signed_by === 'unsigned')
      .map((pack) => `${packId(pack)} is not signed off by counsel`),
    ...reviewed(packs, book)
      .filter((each) => reviewOf(each, today, book.graceDays) !== 'current')
      .map(({ id, review_by }) => `${id} was due for review by ${review_by}`),
    ...closed.map(({ gate, pack, by }) => `${pack} asks for ${gate}: ${by}`),
  ];
}
