/** What the laws that touch a call ask of it: the strictest combination (I2, I5). */
import { TacetError } from '../../config/errors.ts';
import type { ConsentMode } from '../../config/schema.ts';
import type { OnRefusal } from './asked.ts';
import type { GateState } from './gates.ts';
import type { ForbiddenThing, NoticeElement } from './packs.ts';

export interface Constraint {
  mode: ConsentMode;
  /** Ceiling after the packs' own; 0 while something blocks recording. */
  rate: number;
  /** Share of the conversations that the sample may draw: the rate, or 0 where recording is on demand only. */
  drawnRate: number;
  /** The campaign's own, shortened to the packs' caps in days; undefined where only calendar months count. */
  retentionDays: number | undefined;
  /** The packs' cap in calendar months; undefined where none counts so. The earlier of both dates holds. */
  retentionMonths: number | undefined;
  /** A contract concluded in the call lengthens a mandated recording to this many calendar months from its signature. */
  afterSignatureMonths: number | undefined;
  /** What a refusal does to the call itself; the recording is destroyed in either case. */
  onRefusal: OnRefusal;
  /** What the announcement must tell. */
  notice: NoticeElement[];
  /** The recording begins with our own prompt (Washington): never with what a party said before its end. */
  promptInsideRecording: boolean;
  forbid: ForbiddenThing[];
  gates: GateState[];
  /** Why nothing may be recorded, empty when it may. The call goes on in any case (I4). */
  blocked: Block[];
  /** `id@version` of each pack applied, sorted. */
  packs: string[];
  /** Which law (or the campaign itself) gave which value, for `explain` and the ledger. */
  because: Reason[];
}

export type ReasonFor =
  'mode' | 'rate' | 'retentionDays' | 'retentionMonths' | 'onRefusal' | 'promptInsideRecording' | 'blocked';

export interface Reason {
  value: ReasonFor;
  /** `id@version`, or `campaign`. */
  pack: string;
  /** As a sentence for a person. */
  text: string;
}

export type BlockKind =
  | 'unknown-number'
  | 'unknown-law'
  | 'switched-off'
  | 'lapsed'
  | 'conflict'
  | 'transfer'
  | 'systematic'
  | 'unsupported'
  | 'gate';

export interface Block {
  kind: BlockKind;
  /** The text that asks for it: `id@version`, or `campaign` where no text is there. */
  pack: string;
  /** As a sentence for a person: what is missing, and what to do. */
  text: string;
}

/** The explanation in a ledger entry: `mode=FR-consumer-quality@2026-11-23`. */
export function becauseIds({ because }: Pick<Constraint, 'because'>): string[] {
  return because.map(({ value, pack }) => `${value}=${pack}`);
}

/** Whether the law lets anything of the call be recorded, drawn or on demand. */
export function mayBeRecorded({ blocked, rate }: Pick<Constraint, 'blocked' | 'rate'>): boolean {
  return blocked.length === 0 && rate > 0;
}

/** One law asks to keep what another forbids to keep: a person must decide before the campaign is taken up. */
export class LawConflict extends TacetError {
  readonly campaign: string;
  constructor(campaign: string, conflicts: readonly string[]) {
    super(`campaign "${campaign}": laws contradict each other: ${conflicts.join('; ')}`);
    this.campaign = campaign;
  }
}
