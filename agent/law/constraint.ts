/** What the laws that touch a call ask of it: the strictest combination (I2, I5). */
import type { ConsentMode } from '../../config/schema.ts';

export interface Constraint {
  mode: ConsentMode;
  /** Ceiling after the packs' own. */
  rate: number;
  retentionDays: number;
  /** `id@version` of each pack applied. */
  packs: string[];
  /** Which pack gave which value, for `explain` and the ledger. */
  because: { value: 'mode' | 'rate' | 'retentionDays'; pack: string }[];
}
