/** Where changes are kept, in one order for all agents: on this machine's disk, or shared in Redis. */
import { TacetError } from '../../config/errors.ts';
import type { Change } from './changes.ts';

export interface ChangeLog extends AsyncDisposable {
  /** Every change that this agent knows, in order. */
  readonly changes: readonly Change[];
  /** Whether no other agent can have changed anything that this one does not know of. */
  readonly isCurrent: boolean;
  /** Learns what others changed. @throws ChangesUnavailable */
  catchUp(): Promise<void>;
  /**
   * Adds a change behind all that are known here; false when there are others by now.
   *
   * @throws ChangesUnavailable when it cannot be kept, or it cannot be known whether it was
   */
  append(change: Change): Promise<boolean>;
  /** How many changes, from the first on, the ledger has. */
  readonly told: number;
  markTold(count: number): Promise<void>;
}

export interface ChangeListener {
  /** The changes are known from here on. */
  added: (changes: readonly Change[]) => void;
  /** What was known is not what the others know: all changes anew. */
  replaced: (changes: readonly Change[]) => void;
}

/** A change cannot be kept: nothing was changed, or it shows as soon as the place where changes are kept is back. */
export class ChangesUnavailable extends TacetError {
  constructor(why: string) {
    super(`the change cannot be kept: ${why}; look at the history before you ask again`);
  }
}
