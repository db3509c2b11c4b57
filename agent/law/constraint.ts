/** What the laws that touch a call ask of it: the strictest combination (I2, I5). */
import { TacetError } from '../../config/errors.ts';
import type { ConsentMode } from '../../config/schema.ts';

export interface Constraint {
  mode: ConsentMode;
  /** Ceiling after the packs' own. */
  rate: number;
  /** The campaign's own, shortened to the packs' caps in days. */
  retentionDays: number;
  /** The packs' cap in calendar months; undefined where none counts so. The earlier of both dates holds. */
  retentionMonths: number | undefined;
  /** `id@version` of each pack applied. */
  packs: string[];
  /** Which pack (or the campaign itself) gave which value, for `explain` and the ledger. */
  because: Reason[];
}

export interface Reason {
  value: 'mode' | 'rate' | 'retentionDays' | 'retentionMonths';
  /** `id@version`, or `campaign`. */
  pack: string;
  /** As a sentence for a person. */
  text: string;
}

/** No law pack covers what the campaign does. Unknown law is no permission, so the campaign is not taken up. */
export class LawUnknown extends TacetError {
  readonly campaign: string;
  constructor(campaign: string, missing: string, known: string) {
    super(
      `campaign "${campaign}": no law pack for ${missing}; known: ${known}. ` +
        'Add a pack to config/law, signed off by counsel, or correct market, agentsSite or class.',
    );
    this.campaign = campaign;
  }
}

/** One law asks to keep what another forbids to keep: a person must decide. */
export class LawConflict extends TacetError {
  readonly campaign: string;
  constructor(campaign: string, longest: Reason, shortest: Reason) {
    super(`campaign "${campaign}": laws contradict each other: ${longest.text}, but ${shortest.text}`);
    this.campaign = campaign;
  }
}
