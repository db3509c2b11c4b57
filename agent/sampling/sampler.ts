/**
 * The seam to the sample (I3, design section 7). Both calls are idempotent by call id: a client that re-sends a script
 * after a failover has been seen to apply it twice; a lost or doubled one must change nothing.
 */
import type { CallId, Rate } from '../../config/units.ts';
import type { DrawEvidence } from '../ledger/ledger.ts';

export interface Sampler extends AsyncDisposable {
  /**
   * Decides whether this conversation falls in the sample, in one atomic step, within its time budget. Never throws:
   * when the counters or the day's key cannot be reached the answer is `selected: false, reason: 'unavailable'` (I4).
   */
  reserve(campaign: SampledCampaign, call: CallId): Promise<Reservation>;
  /** Tells how the call went, so that its place is counted or given back. Never throws; retried until it is counted. */
  settle(reservation: Reservation, outcome: SettledOutcome): Promise<void>;
  /** Counts of a campaign now, for metrics, the console and the demo's table; undefined when they cannot be reached. */
  counts(campaign: string, timeZone?: string): Promise<SampleCounts | undefined>;
  /** Whether the counters can be reached now, for readiness and the alarm metric. */
  readonly available: boolean;
}

/** What the sample asks of a campaign. */
export interface SampledCampaign {
  name: string;
  rate: Rate;
  /** Ceiling of the announced share, refused calls included, as a multiple of the rate; 1.5 when left out. */
  announcedCap?: number | undefined;
  /** Most selections of one day. */
  dailyGuard?: number | undefined;
  /** IANA name of the zone whose days and months are counted; left out: UTC. */
  timeZone?: string | undefined;
  /** `closed`: outside its window or stopped. Nothing is drawn and nothing counts. */
  gate?: 'open' | 'closed' | undefined;
}

export interface Reservation {
  campaign: string;
  call: CallId;
  selected: boolean;
  /**
   * `quota`: the counters decided. `unavailable`: they could not be asked, or must not grant yet after a failover.
   * `closed`: the campaign draws nothing now.
   */
  reason: 'quota' | 'unavailable' | 'closed';
  /** Accounting period: a month of the campaign's time zone, e.g. `2026-11`. */
  epoch: string;
  /** Day of the draw in the campaign's time zone, e.g. `2026-11-23`. */
  day: string;
  /** Rate and ceiling of the announced share that the call was drawn under, parts per million. */
  ppm: number;
  capPpm: number;
  /** The counts that the decision was taken on. */
  basis: SampleCounts | undefined;
  /** What an auditor needs to take the decision again; undefined where nothing was drawn. */
  draw: DrawEvidence | undefined;
}

/**
 * `recorded`: a conversation of which something is kept. `not-recorded`: an eligible conversation, nothing kept (not
 * selected, or refused). `no-conversation`: nobody answered; the call never counts.
 */
export type SettledOutcome = 'recorded' | 'not-recorded' | 'no-conversation';

/** Told when the counters become reachable or unreachable: the alarm. */
export type AvailabilityListener = (available: boolean, why: string | undefined) => void;

/**
 * Why a call was not drawn, or its selection not granted: no key for the day, Redis out of reach, no answer within the
 * budget, a server that lost writes or did not grant before, too few replicas.
 */
export type Ungranted = 'no-key' | 'unreachable' | 'late' | 'lost' | 'fenced' | 'unreplicated';

/** Told at each such call: the alarm's figure. */
export type UngrantedListener = (why: Ungranted) => void;

/** Where draws get their uniform number, by the day in UTC: undefined when there is no key for the day, so nothing may be drawn. */
export type UniformSource = (call: CallId, day: string) => { key: string; uniform: number } | undefined;

export interface SampleCounts {
  /** Eligible conversations settled. */
  eligible: number;
  /** Of these, recorded. */
  recorded: number;
  /** Selected, not yet settled: each counts as an eligible conversation that is recorded. */
  open: number;
}
