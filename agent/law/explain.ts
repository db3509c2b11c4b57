/** The law of a call as a person reads it: which text gave which value, which gates are open, what follows. */
import type { Campaign } from '../../config/schema.ts';
import { constrainPlaces } from './constrain.ts';
import type { Constraint, Reason } from './constraint.ts';
import type { LawBook } from './load.ts';
import { packId, reviewOf, type LawPack } from './packs.ts';
import { retainUntil } from './retention.ts';
import { numberPlaces, recordingPlaces, touches, touchingLaws, touchNames, type Touch } from './touch.ts';
import { transferTo, type TransferVerdict } from './transfers.ts';

export interface ExplainedCall {
  /** Number of the outside party; undefined explains the campaign by itself. */
  outside: string | undefined;
  now: Date;
}

export interface Explanation {
  campaign: string;
  outside: { number: string; place: string | undefined } | undefined;
  laws: {
    pack: string;
    by: Touch[];
    signedBy: string;
    review: 'current' | 'due' | 'lapsed';
    sources: LawPack['sources'];
  }[];
  constraint: Constraint;
  /** RFC 3339, of a recording that began now; undefined when nothing may be recorded. */
  keptUntil: string | undefined;
  transfers: TransferVerdict[];
}

export function explain(campaign: Campaign, { outside, now }: ExplainedCall, book: LawBook): Explanation {
  const today = now.toISOString().slice(0, 10);
  const places = numberPlaces(campaign, outside === undefined ? [] : [outside]);
  const constraint = constrainPlaces(campaign, places, today, book);
  const { laws } = touchingLaws(campaign, touches(campaign, places), book.packs);
  const recorded = [...new Set(recordingPlaces(campaign).map(({ place }) => place))];
  const gdpr = laws.some(({ pack }) => pack.regime === 'gdpr');
  return {
    campaign: campaign.name,
    outside: outside === undefined ? undefined : { number: outside, place: places[0] },
    laws: laws.map(({ pack, by }) => ({
      pack: packId(pack),
      by,
      signedBy: pack.signed_by,
      review: reviewOf(pack, today, book.graceDays),
      sources: pack.sources,
    })),
    constraint,
    keptUntil: constraint.blocked.length > 0 ? undefined : retainUntil(now, constraint),
    transfers: gdpr
      ? recorded.map((place) => transferTo(place, campaign.transfers, book.transfers, today))
      : [],
  };
}

/** The explanation as text, a section a question. */
export function renderExplanation(campaign: Campaign, explanation: Explanation): string {
  const { constraint } = explanation;
  const sections = [
    headline(campaign, explanation),
    titled('laws that touch it', explanation.laws.map(lawLine)),
    titled('what they ask', valueLines(explanation)),
    titled('gates', constraint.gates.map(gateLine)),
    titled('places', explanation.transfers.map(transferLine)),
    titled('verdict', verdictLines(campaign, explanation)),
  ];
  return sections.filter((section) => section !== undefined).join('\n\n');
}

function titled(title: string, lines: string[]): string | undefined {
  return lines.length === 0 ? undefined : [title, ...lines.map((line) => `  ${line}`)].join('\n');
}

function headline(campaign: Campaign, { outside }: Explanation): string {
  const { name, direction, purpose, controller } = campaign;
  const of = `${name}: ${direction}, class ${campaign.class}, for ${purpose}, controller ${controller}`;
  if (outside === undefined) return of;
  return `${of}\noutside party ${outside.number}: ${outside.place ?? 'of no known country'}`;
}

function lawLine({ pack, by, signedBy, review }: Explanation['laws'][number]): string {
  const reached = by.map(({ as, place }) => `${touchNames[as]} ${place}`).join(', ');
  const notes = [
    ...(signedBy === 'unsigned' ? ['not signed off'] : [`signed by ${signedBy}`]),
    ...(review === 'current' ? [] : [`review ${review}`]),
  ];
  return `${pack}  (${reached}; ${notes.join('; ')})`;
}

/** Keys of a pack that give a value of the constraint, to find its source. */
const packKey: Partial<Record<Reason['value'], string>> = {
  mode: 'mode',
  rate: 'rate_cap',
  retentionDays: 'keep_max_days',
  retentionMonths: 'keep_max_months',
  onRefusal: 'on_refusal',
  promptInsideRecording: 'prompt_in_recording',
};

function valueLines({ constraint, laws }: Explanation): string[] {
  const asked = constraint.because
    .filter(({ value }) => value !== 'blocked')
    .flatMap(({ value, pack, text }) => {
      const key = packKey[value];
      const source = laws
        .find((law) => law.pack === pack)
        ?.sources.find(({ values }) => key !== undefined && values.includes(key));
      return [text, ...(source === undefined ? [] : [`  ${source.source} [${source.confidence}]`])];
    });
  const { notice, forbid } = constraint;
  return [
    ...asked,
    ...(notice.length === 0 ? [] : [`the announcement tells ${notice.join(', ')}`]),
    ...(forbid.length === 0 ? [] : [`never ${forbid.join(', ')}`]),
  ];
}

function gateLine({ gate, pack, open, by }: Constraint['gates'][number]): string {
  return `${open ? 'open  ' : 'closed'}  ${gate}  (${pack}): ${open ? by : `give ${by}`}`;
}

function transferLine(verdict: TransferVerdict): string {
  return `${verdict.place}  ${verdict.allowed ? verdict.by : `refused: ${verdict.why}`}`;
}

function verdictLines(campaign: Campaign, { constraint, keptUntil }: Explanation): string[] {
  if (keptUntil === undefined) {
    return ['nothing is recorded, the call goes on:', ...constraint.blocked.map(({ text }) => `- ${text}`)];
  }
  const { mode, rate, onRefusal, afterSignatureMonths } = constraint;
  const share =
    campaign.trigger === 'on-demand'
      ? 'on demand only, never drawn'
      : `at most ${percent(rate)} of the conversations`;
  const consequence =
    onRefusal === 'end-call' ? 'a refusal ends the call' : 'a refusal lets the call go on unrecorded';
  return [
    `recorded: ${share}, mode ${mode}, ${consequence}`,
    `kept until ${keptUntil.slice(0, 10)}`,
    ...(afterSignatureMonths === undefined
      ? []
      : [`if a contract is concluded: ${afterSignatureMonths} calendar months from its signature`]),
  ];
}

/** `0.3` as `30 %`. */
export function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`;
}
