/** A new call at the edge: what its INVITE says, and the ways to answer it. */
import { randomUUID } from 'node:crypto';
import type { NameAddr, SentCallback, SrfRequest, SrfResponse, Srf } from 'drachtio-srf';
import type { CallId } from '../../config/units.ts';
import { Branches } from './branches.ts';
import { Correlation } from './correlation.ts';
import { EarlyDialog, notYet } from './early-dialog.ts';
import type { Freedom } from './free-calls.ts';
import { carriedHeaders, headerOf } from './headers.ts';
import { allowed, Leg } from './leg.ts';
import type { Pass } from './passes.ts';
import { userOf, wholeUserOf } from './peer-uri.ts';
import type { Peer } from './peers.ts';

export { userOf } from './peer-uri.ts';

/** The caller gave up (CANCEL) before we answered. */
export class InviteCancelled extends Error {}

/** What the edge found out about a call before anybody else saw it. */
export interface InviteMarks {
  /** Why it must pass untouched and unsampled, if it must. */
  free: Freedom | undefined;
  /** A call of ours that came back. */
  pass: Pass | undefined;
  /** The number to call in place of an emergency service's name. */
  sos?: string | undefined;
}

export class Invite {
  readonly call = randomUUID() as CallId;
  readonly from: Peer;
  /** User part of the request-URI. */
  readonly called: string;
  /** The same with its parameters, as it goes on. */
  readonly calledWhole: string;
  /** User part of P-Asserted-Identity or From. */
  readonly caller: string;
  readonly body: string | undefined;
  readonly contentType: string | undefined;
  /** Max-Forwards as received (RFC 3261 section 8.1.1.6: 70 when it says nothing). */
  readonly maxForwards: number;
  readonly marks: InviteMarks;
  readonly correlation: Correlation;
  readonly receivedAt = performance.now();
  /** Of the far end, where it forks, as the caller knows them. */
  readonly branches: Branches;
  /** The caller until it is answered. */
  readonly early: EarlyDialog;
  readonly #srf: Srf;
  readonly #req: SrfRequest;
  readonly #res: SrfResponse;
  readonly #cancelled = new AbortController();
  /** What the far end's last response says to the caller: identity and billing (RFC 3325 and the like). */
  #said: Record<string, string> = {};
  #over: Promise<unknown> = Promise.resolve();

  constructor(
    srf: Srf,
    req: SrfRequest,
    res: SrfResponse,
    from: Peer,
    marks: InviteMarks = { free: undefined, pass: undefined },
  ) {
    this.#srf = srf;
    this.#req = req;
    this.#res = res;
    this.from = from;
    this.marks = marks;
    this.called = marks.sos ?? userOf(req.uri) ?? '';
    this.calledWhole = marks.sos ?? wholeUserOf(req.uri) ?? '';
    // Who is not trusted may assert nothing (RFC 3325 section 5): it is who its From says.
    this.caller = from.trusted ? req.callingNumber : (userOf(this.fromParty.uri) ?? '');
    this.body = req.body === '' ? undefined : req.body;
    this.contentType = this.header('Content-Type');
    this.maxForwards = Number(this.header('Max-Forwards') ?? 70);
    this.correlation = new Correlation(this.call, this.header('Session-ID'));
    this.early = new EarlyDialog(srf, req, 'them', this.correlation.marks('near', from));
    this.early.onUpdate(notYet);
    this.branches = new Branches(this.header('To') ?? '');
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
    return headerOf(this.#req, name);
  }

  /** Names of all headers, as the parser gives them. */
  headerNames(): string[] {
    return Object.keys(this.#req.headers);
  }

  /** Headers that go on to a peer. */
  carriedTo(peer: Peer): Record<string, string> {
    return carriedHeaders(this.#req, { from: this.from, to: peer });
  }

  get fromDisplayName(): string | undefined {
    return this.fromParty.name || undefined;
  }

  get fromParty(): NameAddr {
    return this.#req.getParsedHeader('from');
  }

  get toParty(): NameAddr {
    return this.#req.getParsedHeader('to');
  }

  /** Takes what a response of the far end tells the caller; our next responses hand it on. */
  farEndSaid(response: SrfResponse, by: Peer): void {
    this.#said = carriedHeaders(response, { from: by, to: this.from });
    this.correlation.sessions.heard('far', headerOf(response, 'Session-ID'));
  }

  /** Another far end is tried: what the former one said of itself is not true of it. */
  forgetFarEnd(): void {
    this.#said = {};
    this.correlation.sessions.forgetFar();
  }

  /**
   * Sends a provisional response.
   *
   * @param far how the far end said it: reliably, which goes on to a caller that can (RFC 3262), so that both ends may offer
   *   anew; and which branch of a fork it is, where the caller is to have a dialog with each (RFC 3261 section 12.1)
   */
  progress(
    status: number,
    sdp?: string,
    far: { reliable?: boolean; branch?: string | undefined } = {},
  ): void {
    if (this.cancelled.aborted || this.#res.finalResponseSent) return;
    // A response that begins a dialog says where its requests go (RFC 3261 section 12.1.1): a PRACK needs to know.
    const headers = {
      ...this.#headers(),
      ...this.branches.headers(far.branch),
      Contact: '<sip:tacet@localhost>',
      Allow: allowed,
      ...(far.reliable === true && this.#takesReliably ? { Require: '100rel' } : {}),
    };
    const message =
      sdp === undefined
        ? { headers }
        : { body: sdp, headers: { ...headers, 'Content-Type': 'application/sdp' } };
    const sent: SentCallback = (error, response) => {
      if (error === null) this.branches.sent(far.branch, response.getParsedHeader('to').params['tag']);
    };
    this.#res.send(status, message, sent, (prack) => this.early.pracked(prack));
  }

  /**
   * Sends 200 with this SDP.
   *
   * @param branch that of a fork that has answered, where the caller has a dialog with each
   * @throws InviteCancelled when the caller was faster
   */
  async answer(sdp: string, branch?: string): Promise<Leg> {
    this.cancelled.throwIfAborted();
    const dialog = await this.#srf.createUAS(this.#req, this.#res, {
      localSdp: sdp,
      headers: {
        ...this.#headers(),
        ...this.branches.headers(branch),
        Allow: allowed,
        Supported: 'replaces',
      },
    });
    const agreed = this.early.agreed(this.branches.ours(branch));
    const leg = new Leg(dialog, this.from, this.correlation.marks('near', this.from), agreed);
    this.#over = new Promise((resolve) => {
      if (leg.ended.aborted) resolve(undefined);
      else leg.ended.addEventListener('abort', resolve, { once: true });
    });
    return leg;
  }

  /** Resolves when the caller's leg has ended, which may go on in another call; at once where there is none. */
  get over(): Promise<unknown> {
    return this.#over;
  }

  /** Sends a final failure response; the server already answered a cancelled INVITE with 487. */
  reject(status: number, reason?: string, headers: Record<string, string> = {}): void {
    if (this.cancelled.aborted || this.#res.finalResponseSent) return;
    this.#res.send(status, reason, { headers: { ...this.#headers(), ...headers } });
  }

  get #takesReliably(): boolean {
    const options = `${this.header('Supported') ?? ''},${this.header('Require') ?? ''}`.toLowerCase();
    return options.split(',').some((option) => option.trim() === '100rel');
  }

  #headers(): Record<string, string> {
    return { ...this.#said, ...this.correlation.headers('near', this.from) };
  }
}
