/** What ties a call's two legs together for others: a call identifier of ours and Session-ID, on every message of both. */
import type { CallId } from '../../config/units.ts';
import type { DigestSession } from './digest.ts';
import { believedOf, headerOf, shownTo, type Parsed } from './headers.ts';
import type { Peer } from './peers.ts';
import { SessionIds, type End } from './session-id.ts';

/** What every message of one leg carries, learns and is signed with. */
export interface LegMarks {
  /**
   * Headers of each request and response of ours on this leg.
   *
   * @param crossing those of the other leg that are handed on with it: what this leg's peer may be shown stays
   */
  headers(crossing?: Record<string, string>): Record<string, string>;
  /** The headers of a message of the far end, but for what it may not say. */
  believed(headers: Record<string, string>): Record<string, string>;
  /** Takes what a message of the far end says of itself. */
  heard(message: Parsed): void;
  /** Signs requests; only there on a leg that we started and that was challenged. */
  readonly digest?: DigestSession | undefined;
}

type Marked = Pick<Peer, 'passes' | 'trusted'>;

/** The marks of a leg that belongs to a call. */
class CallMarks implements LegMarks {
  readonly digest: DigestSession | undefined;
  readonly #correlation: Correlation;
  readonly #end: End;
  readonly #peer: Marked;

  constructor(correlation: Correlation, end: End, peer: Marked, digest: DigestSession | undefined) {
    this.digest = digest;
    this.#correlation = correlation;
    this.#end = end;
    this.#peer = peer;
  }

  headers(crossing: Record<string, string> = {}): Record<string, string> {
    return { ...shownTo(this.#peer, crossing), ...this.#correlation.headers(this.#end, this.#peer) };
  }

  believed(headers: Record<string, string>): Record<string, string> {
    return believedOf(this.#peer, headers);
  }

  heard(message: Parsed): void {
    this.#correlation.sessions.heard(this.#end, headerOf(message, 'Session-ID'));
  }
}

export class Correlation {
  readonly call: CallId;
  readonly sessions = new SessionIds();

  /** @param sessionId the value in the caller's INVITE, if any */
  constructor(call: CallId, sessionId: string | undefined) {
    this.call = call;
    this.sessions.heard('near', sessionId);
  }

  /**
   * @param peer who gets them: what it does not want is left out
   * @param answered false in an INVITE that nobody has answered yet
   */
  headers(end: End, peer: Pick<Peer, 'passes'>, answered = true): Record<string, string> {
    return {
      ...(peer.passes('session-id') ? { 'Session-ID': this.sessions.towards(end, answered) } : {}),
      ...(peer.passes('x-tacet-call') ? { 'X-Tacet-Call': this.call } : {}),
    };
  }

  marks(end: End, peer: Marked, digest?: DigestSession): LegMarks {
    return new CallMarks(this, end, peer, digest);
  }
}
