/** A new call at the edge: what its INVITE says, and the ways to answer it. */
import { randomUUID } from 'node:crypto';
import type { SrfRequest, SrfResponse, Srf } from 'drachtio-srf';
import type { CallId } from '../../config/units.ts';
import { Leg } from './leg.ts';
import type { Peer } from './peers.ts';

/** The caller gave up (CANCEL) before we answered. */
export class InviteCancelled extends Error {}

export class Invite {
  readonly call = randomUUID() as CallId;
  readonly from: Peer;
  /** User part of the request-URI. */
  readonly called: string;
  /** User part of P-Asserted-Identity or From. */
  readonly caller: string;
  readonly body: string | undefined;
  readonly contentType: string | undefined;
  readonly receivedAt = performance.now();
  readonly #srf: Srf;
  readonly #req: SrfRequest;
  readonly #res: SrfResponse;
  readonly #cancelled = new AbortController();

  constructor(srf: Srf, req: SrfRequest, res: SrfResponse, from: Peer) {
    this.#srf = srf;
    this.#req = req;
    this.#res = res;
    this.from = from;
    this.called = userOf(req.uri) ?? '';
    this.caller = req.callingNumber;
    this.body = req.body === '' ? undefined : req.body;
    this.contentType = this.header('Content-Type');
    req.on('cancel', () => this.#cancelled.abort(new InviteCancelled('the caller cancelled')));
  }

  /** The offer; undefined in an INVITE without a body, or whose body is not SDP alone (multipart). */
  get offer(): string | undefined {
    return this.contentType?.toLowerCase().startsWith('application/sdp') === true ? this.body : undefined;
  }

  /** Aborted when the caller cancels before the final response. */
  get cancelled(): AbortSignal {
    return this.#cancelled.signal;
  }

  header(name: string): string | undefined {
    return this.#req.has(name) ? this.#req.get(name) : undefined;
  }

  /** Names of all headers, as the parser gives them. */
  headerNames(): string[] {
    return Object.keys(this.#req.headers);
  }

  get fromDisplayName(): string | undefined {
    return this.#req.getParsedHeader('from').name || undefined;
  }

  /** Sends a provisional response. */
  progress(status: number, sdp?: string): void {
    if (this.cancelled.aborted || this.#res.finalResponseSent) return;
    this.#res.send(
      status,
      sdp === undefined ? {} : { body: sdp, headers: { 'Content-Type': 'application/sdp' } },
    );
  }

  /** Sends 200 with this SDP. @throws InviteCancelled when the caller was faster */
  async answer(sdp: string, headers: Record<string, string> = {}): Promise<Leg> {
    this.cancelled.throwIfAborted();
    const dialog = await this.#srf.createUAS(this.#req, this.#res, { localSdp: sdp, headers });
    return new Leg(dialog);
  }

  /** Sends a final failure response; the server already answered a cancelled INVITE with 487. */
  reject(status: number, reason?: string, headers: Record<string, string> = {}): void {
    if (this.cancelled.aborted || this.#res.finalResponseSent) return;
    this.#res.send(status, reason, { headers });
  }
}

/** The user part of a SIP or tel URI, undecorated; undefined when there is none. */
export function userOf(uri: string): string | undefined {
  const scheme = uri.indexOf(':');
  const at = uri.indexOf('@');
  if (scheme < 0) return undefined;
  if (at < 0) return uri.startsWith('tel:') ? uri.slice(4).split(';')[0] : undefined;
  return uri.slice(scheme + 1, at).split(/[;:]/u)[0];
}
