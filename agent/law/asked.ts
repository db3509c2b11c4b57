/**
 * What laws ask, and how two of them become one: the stricter of each value. Joining is commutative, associative and
 * idempotent, so neither the order of the packs nor one that is given twice changes anything, and a law more never
 * loosens (tested as such).
 */
import { consentMode, type ConsentMode } from '../../config/schema/campaign.ts';
import { packId, type ForbiddenThing, type Gate, type LawPack, type NoticeElement } from './packs.ts';

/** A value and who gave it: `id@version` of a pack, or `campaign`. */
export interface Given<Value> {
  value: Value;
  pack: string;
}

export type OnRefusal = LawPack['on_refusal'];

/** Undefined where nobody asks anything. The lists are sets, sorted, with one giver for each element. */
export interface Asked {
  mode: Given<ConsentMode> | undefined;
  rate: Given<number> | undefined;
  keepMaxDays: Given<number> | undefined;
  keepMaxMonths: Given<number> | undefined;
  keepMinDays: Given<number> | undefined;
  keepMinMonths: Given<number> | undefined;
  afterSignatureMonths: Given<number> | undefined;
  onRefusal: Given<OnRefusal> | undefined;
  systematic: Given<LawPack['systematic']> | undefined;
  promptInRecording: Given<true> | undefined;
  notice: Given<NoticeElement>[];
  gates: Given<Gate>[];
  forbid: Given<ForbiddenThing>[];
}

export const nothingAsked: Asked = {
  mode: undefined,
  rate: undefined,
  keepMaxDays: undefined,
  keepMaxMonths: undefined,
  keepMinDays: undefined,
  keepMinMonths: undefined,
  afterSignatureMonths: undefined,
  onRefusal: undefined,
  systematic: undefined,
  promptInRecording: undefined,
  notice: [],
  gates: [],
  forbid: [],
};

/** What one pack asks of a campaign that takes calls in, or makes them. */
export function askedBy(pack: LawPack, direction: 'inbound' | 'outbound'): Asked {
  const id = packId(pack);
  const given = <Value>(value: Value | undefined): Given<Value> | undefined =>
    value === undefined ? undefined : { value, pack: id };
  const each = <Value extends string>(values: readonly Value[]): Given<Value>[] =>
    [...new Set(values)].toSorted().map((value) => ({ value, pack: id }));
  return {
    mode: given(pack.mode),
    rate: given(pack.rate_cap),
    keepMaxDays: given(pack.keep_max_days),
    keepMaxMonths: given(pack.keep_max_months),
    keepMinDays: given(pack.keep_min_days),
    keepMinMonths: given(pack.keep_min_months),
    afterSignatureMonths: given(pack.keep_after_signature_months),
    onRefusal: given(pack.on_refusal),
    systematic: given(pack.systematic),
    promptInRecording: pack.prompt_in_recording ? { value: true, pack: id } : undefined,
    notice: each(pack.notice),
    gates: each([...pack.gates, ...(direction === 'outbound' ? pack.gates_outbound : [])]),
    forbid: each(pack.forbid),
  };
}

/** The stricter of each value of two; the least maximum, the greatest minimum, the union of what must and must not be. */
export function strictest(one: Asked, other: Asked): Asked {
  return {
    mode: stricter(one.mode, other.mode, (mode) => consentMode.options.indexOf(mode)),
    rate: stricter(one.rate, other.rate, (rate) => -rate),
    keepMaxDays: stricter(one.keepMaxDays, other.keepMaxDays, (days) => -days),
    keepMaxMonths: stricter(one.keepMaxMonths, other.keepMaxMonths, (months) => -months),
    keepMinDays: stricter(one.keepMinDays, other.keepMinDays, (days) => days),
    keepMinMonths: stricter(one.keepMinMonths, other.keepMinMonths, (months) => months),
    afterSignatureMonths: stricter(one.afterSignatureMonths, other.afterSignatureMonths, (months) => -months),
    onRefusal: stricter(one.onRefusal, other.onRefusal, (then) => (then === 'end-call' ? 1 : 0)),
    systematic: stricter(one.systematic, other.systematic, (each) => (each === 'allowed' ? 0 : 1)),
    promptInRecording: stricter(one.promptInRecording, other.promptInRecording, () => 0),
    notice: union(one.notice, other.notice),
    gates: union(one.gates, other.gates),
    forbid: union(one.forbid, other.forbid),
  };
}

/** Equally strict values are the campaign's own, or the pack's that comes first by name. */
function stricter<Value>(
  one: Given<Value> | undefined,
  other: Given<Value> | undefined,
  rank: (value: Value) => number,
): Given<Value> | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const difference = rank(one.value) - rank(other.value);
  if (difference !== 0) return difference > 0 ? one : other;
  return isFirst(one.pack, other.pack) ? one : other;
}

function isFirst(one: string, other: string): boolean {
  if (one === 'campaign' || other === 'campaign') return one === 'campaign';
  return one <= other;
}

function union<Value extends string>(
  one: readonly Given<Value>[],
  other: readonly Given<Value>[],
): Given<Value>[] {
  const givers = new Map<Value, string>();
  for (const { value, pack } of [...one, ...other]) {
    const known = givers.get(value);
    if (known === undefined || isFirst(pack, known)) givers.set(value, pack);
  }
  return [...givers]
    .map(([value, pack]) => ({ value, pack }))
    .toSorted((left, right) => (left.value < right.value ? -1 : 1));
}
