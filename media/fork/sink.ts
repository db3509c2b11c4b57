/**
 * Where selected audio goes (design sections 7 and 8): the seam between a call and the store link.
 */
import type { CallId, EpochMicros, RecordingId, Side } from '../../config/units.ts';
import { TacetError } from '../../config/errors.ts';
import type { ForkTotals, GapKind } from '../plane.ts';

/** Neither the store nor the spool takes this recording. The call goes on unrecorded (I4). */
export class RecordingRefused extends TacetError {
  readonly recording: RecordingId;
  readonly reason: string;
  constructor(recording: RecordingId, reason: string) {
    super(`recording ${recording} is not taken: ${reason}; the call goes on unrecorded`);
    this.recording = recording;
    this.reason = reason;
  }
}

/**
 * Everything that a recording must have before its first packet (I5). Personal data is pseudonymous here: the
 * caller is a keyed hash.
 */
export interface RecordingHeader {
  recording: RecordingId;
  call: CallId;
  campaign: string;
  purpose: string;
  class: string;
  legalBasis: string;
  controller: string;
  /** Law packs applied, `id@version`. */
  law: string[];
  /** RFC 3339, fixed at the start: erased everywhere by then, but for a contract. */
  retainUntil: string;
  /** Where the law keeps a contract that was concluded in the call: calendar months from its signature. */
  afterSignatureMonths?: number;
  /** Ledger entry (hash) that allowed it. */
  allowedBy: string;
  startedAt: EpochMicros;
  /** RTP payload type to codec of the audio that each side sends, e.g. `{ "8": "PCMA/8000", "101": "telephone-event/8000" }`. */
  codecs: Record<Side, Record<string, string>>;
  /** Pseudonyms of the parties (keyed hash of the number), for correlation by the DPO. */
  parties: Record<Side, string>;
}

export interface RecordingSink {
  /** Resolves when the store, or the spool in its absence, has taken the recording. @throws RecordingRefused */
  open(header: RecordingHeader): Promise<RecordingStream>;
}

export interface RecordingStream {
  readonly recording: RecordingId;
  /** Aborted with a reason when this recording cannot go on (spool full, store refused it): the fork must stop. */
  readonly failed: AbortSignal;
  /** A batch as the media plane made it (`media/fork/batch.ts`). Never blocks, never throws. */
  write(batch: Uint8Array): void;
  /** Declares that a side has no audio between two instants, and why. */
  gap(gap: Gap): void;
  /** Ends the recording; resolves when the store confirmed it, or when the spool will deliver it later. */
  close(end: RecordingEnd): Promise<'stored' | 'spooled'>;
  /** Destroys what was kept everywhere. Resolves with the receipt, or `pending` when the store has not answered in 5 s
   * (it is then retried for ever, also after a restart). */
  destroy(reason: DestroyReason): Promise<DestroyReceipt | 'pending'>;
}

export interface Gap {
  side: Side;
  from: EpochMicros;
  to: EpochMicros;
  kind: GapKind;
}

export interface RecordingEnd {
  /** `transfer`: other laws hold with a party that came in, and another recording goes on. `law`: they forbid one. */
  reason: 'hangup' | 'stopped' | 'fax' | 'interrupted' | 'media-lost' | 'transfer' | 'law';
  totals: ForkTotals;
}

export type DestroyReason =
  'refused' | 'not-told' | 'stopped-by-supervisor' | 'private-call' | 'retention' | 'erasure-request';

export interface DestroyReceipt {
  recording: RecordingId;
  destroyedAt: string;
  bytes: number;
  /** Hex SHA-256 over the tombstone that the store keeps. */
  proof: string;
}
