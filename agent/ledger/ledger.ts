/**
 * The evidence (I6): an append-only chain of entries, each signed and bound to the one before by its hash. Ids of
 * persons in it are pseudonyms. An entry is durable before the thing that it allows happens.
 */
import type { Digit } from '../../media/plane.ts';
import type { DestroyReason } from '../../media/fork/sink.ts';
import type { Quality } from '../../media/rtp/quality.ts';
import { TacetError } from '../../config/errors.ts';
import type { CallId, EpochMicros, RecordingId, Side } from '../../config/units.ts';
import type { Urgency } from './group-commit.ts';

/** The closed list of things that the ledger tells. */
export type LedgerEvent =
  | { kind: 'agent.started'; version: string; config: string }
  | { kind: 'agent.stopped'; reason: string }
  | {
      kind: 'call.decided';
      call: CallId;
      campaign: string;
      direction: 'inbound' | 'outbound';
      selected: boolean;
      reason: string;
      rate: number;
      /** Month and day of the draw, by the calendar of `timeZone`; entries without: UTC. */
      epoch: string;
      day?: string;
      timeZone?: string;
      basis: { eligible: number; recorded: number; open: number } | undefined;
      /** Everything that the decision was taken on; undefined where nothing was drawn. */
      draw?: DrawEvidence | undefined;
      mode: string;
      law: string[];
      /** Which law gave which value, e.g. `mode=FR-consumer-quality@2026-11-23`. */
      because?: string[];
      parties: { caller: string; agent: string };
      /** The member of staff, where the INVITE says who it is: pseudonym of the id by which `agents` knows them. */
      agent?: string | undefined;
    }
  /** A call that came back through this site: the same conversation as `of`, neither drawn nor told again. */
  | { kind: 'call.linked'; call: CallId; of: CallId; passes: number }
  /** `key` names the key in draws; `commitment` is the hex SHA-256 of its 32 bytes. `day` is the UTC day it is used on. */
  | { kind: 'sampling.key-committed'; day: string; key: string; commitment: string }
  | { kind: 'sampling.key-revealed'; day: string; key: string; secret: string }
  | {
      kind: 'call.told';
      call: CallId;
      /** Where it was not the caller's. */
      side?: Side;
      prompt: string;
      hash: string;
      heardMs: number;
      durationMs: number;
      complete: boolean;
    }
  | { kind: 'call.refused'; call: CallId; by: Refusal }
  /** Somebody ordered a recording to begin, pause, go on or end; `done` says whether it did. */
  | { kind: 'call.ordered'; call: CallId; verb: string; by: string; reason: string; done: boolean }
  /** Another party is on one side of the call now. */
  | { kind: 'call.party'; call: CallId; side: Side; party: string; by: PartyChange }
  | { kind: 'call.consented'; call: CallId; by: Consent }
  | {
      kind: 'recording.allowed';
      call: CallId;
      recording: RecordingId;
      campaign: string;
      purpose: string;
      class: string;
      legalBasis: string;
      controller: string;
      law: string[];
      retainUntil: string;
      /** Calendar months that the law keeps it from the signature of a contract concluded in the call. */
      afterSignatureMonths?: number;
    }
  | {
      kind: 'recording.closed';
      call: CallId;
      recording: RecordingId;
      reason: string;
      packets: { caller: number; agent: number };
    }
  | { kind: 'recording.failed'; call: CallId; recording: RecordingId | undefined; reason: string }
  | {
      kind: 'recording.destroyed';
      call: CallId;
      recording: RecordingId;
      reason: DestroyReason;
      proof: string | undefined;
    }
  | { kind: 'recording.exported'; recording: RecordingId; by: string; reason: string; exportedAt: string }
  /** A contract was concluded in the call: signed that day (UTC), it is kept until then. The last entry of a recording holds. */
  | {
      kind: 'recording.retained';
      recording: RecordingId;
      signedOn: string;
      retainUntil: string;
      by: string;
      /** Which contract. */
      reference: string;
      retainedAt: string;
    }
  /**
   * A change of the live state that this agent learnt (`agent/campaigns/changes.ts`): versions leave no gap, and one that
   * stands twice (`change` is the same) was written twice, not done twice.
   */
  | {
      kind: 'campaigns.changed';
      version: number;
      change: string;
      what: string;
      /** A campaign, a stop's scope, an agent, an objection's hash. */
      subject: string;
      by: string;
      decidedAt: string;
      reason: string | undefined;
      from?: Record<string, string | number | boolean>;
      to?: Record<string, string | number | boolean>;
      /** Of an approval: the other of the two persons. */
      proposedBy?: string;
    }
  | {
      kind: 'call.ended';
      call: CallId;
      campaign: string | undefined;
      outcome: string;
      answered: boolean;
      recorded: boolean;
      /** How the parties were heard, where their media went through us; estimates. */
      quality?: Partial<Record<Side, Quality>> | undefined;
      /** Everybody who was on the call and when (microseconds), where others came in. */
      parties?: { side: Side; party: string; from: EpochMicros; to?: EpochMicros }[] | undefined;
    };

/** How a party came into a call: the far end says so, or it was transferred or picked up. */
export type PartyChange = 'identity' | 'transfer' | 'pickup';

/** One draw of the sample, so that an auditor can take it again (`agent/sampling/gate.ts`). */
export interface DrawEvidence {
  /** Name of the key that the uniform number comes from. */
  key: string;
  /** HMAC-SHA-256(key, call id), its first 32 bits. */
  uniform: number;
  /** Whose numbering `sequence` belongs to: within one run no number is missing and none comes twice. */
  run: string;
  sequence: number;
  /** Rate and ceiling of the announced share, parts per million. */
  ppm: number;
  capPpm: number;
  dailyGuard: number | undefined;
  /** Credits in parts per million of a conversation, and selections of the day, before the draw. */
  credit: number;
  announceCredit: number;
  today: number;
}

/** How a refusal was heard; never the audio. */
export type Refusal =
  | { by: 'key'; digit: Digit; at: EpochMicros }
  /** Somebody spoke in the time in which silence would have let the recording begin; `score` is the detector's, 0 to 1. */
  | { by: 'voice'; layer: 'any-speech'; score: number; at: EpochMicros }
  /** Understood by a speech server: the words of a refusal that it takes what was said for; `provisional` while the text might still have changed. */
  | {
      by: 'voice';
      layer: 'recogniser';
      word: string;
      score?: number | undefined;
      provisional: boolean;
      at: EpochMicros;
    };

/** How a yes was heard, where the law asks for one; never the audio. */
export type Consent = { by: 'key'; digit: Digit; at: EpochMicros };

export interface LedgerEntry {
  sequence: number;
  at: string;
  previous: string;
  event: LedgerEvent;
  /** Written together with the entries that follow it: the first of them that is signed vouches for it through the chain. */
  signed?: 'later';
  /** Hex SHA-256 over the canonical JSON of the fields above. */
  hash: string;
  /** Base64 Ed25519 signature over `hash`; none where `signed` says `later`. */
  signature?: string;
}

export interface Ledger extends AsyncDisposable {
  /**
   * Resolves with the entry when it is on stable storage. Entries stand in the order in which they were handed in.
   *
   * @param urgency `soon` where nothing waits for the entry: it goes with the next one that is urgent, within 100 ms
   * @throws LedgerUnavailable when it cannot be written
   */
  append(event: LedgerEvent, urgency?: Urgency): Promise<LedgerEntry>;
}

/** A site's ledger, with the keyed hash by which it knows persons. */
export interface SiteLedger extends Ledger {
  /** Pseudonym of a number, however it is written: hex, the same on this site for ever, no way back without the key. */
  pseudonym(number: string): string;
}

/** An entry could not be made durable; nothing of it is in the ledger. What it would have allowed must not happen. */
export class LedgerUnavailable extends TacetError {
  readonly kind: LedgerEvent['kind'];
  constructor(kind: LedgerEvent['kind'], why: string) {
    super(`the ledger cannot be written (${kind}): ${why}; nothing is recorded until it can`);
    this.kind = kind;
  }
}

/** The chain on disk does not hold. A person must look before anything is added to it. */
export class LedgerBroken extends TacetError {
  readonly segment: string;
  readonly line: number;
  constructor(site: string, segment: string, line: number, why: string) {
    super(
      `the ledger of ${site} is broken: ${segment} line ${line} ${why}. Nothing is added to it. ` +
        'Keep the folder as evidence, run `tacet verify`, and start with a new dataDir.',
    );
    this.segment = segment;
    this.line = line;
  }
}
