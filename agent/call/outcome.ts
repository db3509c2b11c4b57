import type { CallQuality } from './quality.ts';

/** The closed list of ways in which a call can end, as metrics, the ledger and the demo's table name them. */
export type OutcomeKind =
  /** A conversation of which a recording is kept. */
  | 'recorded'
  /** Selected; the caller said no: nothing is kept. */
  | 'refused'
  /** Selected, but it could not be told, anchored or stored: it went on unrecorded (I4). */
  | 'unrecorded'
  /** A conversation that the sample passed over. */
  | 'unselected'
  /** A conversation that no campaign claims. */
  | 'unmatched'
  /** A call to emergency services, or to a number that always passes: never touched. */
  | 'emergency'
  | 'bypassed'
  /** A call of ours that came back through our own trunk: the conversation is the outer call's. */
  | 'inner'
  /** The caller gave up before anybody answered. */
  | 'abandoned'
  | 'busy'
  | 'no-answer'
  /** The far end declined (4xx, 6xx other than busy). */
  | 'rejected'
  /** No peer of the route could be reached, or all failed (408, 5xx). */
  | 'unreachable';

export interface Outcome {
  kind: OutcomeKind;
  /** Whether the two parties spoke: what makes a call a conversation. */
  answered: boolean;
  hungUpBy: 'caller' | 'agent' | 'tacet' | undefined;
  /** Why nothing was recorded although the call was selected, or the SIP status of a failure. */
  detail: string | undefined;
  /** How the parties were heard, where their media went through us. */
  quality?: CallQuality;
}

/** How a failed INVITE ends a call, by its final status (RFC 3261 section 21). */
export function outcomeOfStatus(status: number): OutcomeKind {
  if (status === 486 || status === 600) return 'busy';
  if (status === 408 || status === 480 || status === 487) return 'no-answer';
  if (status >= 500 && status < 600) return 'unreachable';
  return 'rejected';
}
