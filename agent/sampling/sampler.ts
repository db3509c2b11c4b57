/**
 * The seam to the sample (I3, design section 7). Both calls are idempotent by call id: a client that re-sends a script
 * after a failover has been seen to apply it twice; a lost or doubled one must change nothing.
 */
import type { CallId, Rate } from '../../config/units.ts';

export interface Sampler extends AsyncDisposable {
  /**
   * Decides whether this conversation falls in the sample, in one atomic step, within its time budget. Never throws:
   * when the counters cannot be reached the answer is `selected: false, reason: 'unavailable'` (I4).
   */
  reserve(campaign: { name: string; rate: Rate }, call: CallId): Promise<Reservation>;
  /** Tells how the call went, so that its place is counted or given back. Never throws; retried until it is counted. */
  settle(reservation: Reservation, outcome: SettledOutcome): Promise<void>;
  /** Counts of a campaign now, for metrics, the console and the demo's table; undefined when they cannot be reached. */
  counts(campaign: string): Promise<SampleCounts | undefined>;
  /** Whether the counters can be reached now, for readiness and the alarm metric. */
  readonly available: boolean;
}

export interface Reservation {
  campaign: string;
  call: CallId;
  selected: boolean;
  /** `quota`: the counters decided. `unavailable`: they could not be asked, so not selected. */
  reason: 'quota' | 'unavailable';
  /** Accounting period, e.g. `2026-11`. */
  epoch: string;
  /** The counts that the decision was taken on, so that it can be recomputed. */
  basis: SampleCounts | undefined;
}

/**
 * `recorded`: a conversation of which something is kept. `not-recorded`: an eligible conversation, nothing kept (not
 * selected, or refused). `no-conversation`: nobody answered; the call never counts.
 */
export type SettledOutcome = 'recorded' | 'not-recorded' | 'no-conversation';

/** Told when the counters become reachable or unreachable: the alarm. */
export type AvailabilityListener = (available: boolean, why: string | undefined) => void;

export interface SampleCounts {
  /** Eligible conversations settled. */
  eligible: number;
  /** Of these, recorded. */
  recorded: number;
  /** Selected, not yet settled: counted against the ceiling as if recorded. */
  open: number;
}
