/** One SIP dialog of a call, as the call logic sees it: an end, offers and answers, requests passed along. */
import { randomInt } from 'node:crypto';
import type { Dialog, SipMessage, SrfRequest, SrfResponse } from 'drachtio-srf';
import { messageOf } from '../../config/errors.ts';
import { keyInInfo } from '../../media/dtmf/info.ts';
import type { Digit } from '../../media/plane.ts';
import type { LegMarks } from './correlation.ts';
import { DialogRequests, type DialogAnswer } from './dialog-requests.ts';
import { headerOf } from './headers.ts';
import { endToEnd } from './hop-by-hop.ts';
import type { Peer } from './peers.ts';
import {
  allows,
  answerIn,
  offered,
  orServerError,
  reofferIn,
  sendAnswer,
  written,
  type Agreed,
  type AnswerReoffer,
  type Reoffer,
  type ReofferAnswer,
} from './reoffer.ts';

export type { Reoffer, ReofferAnswer } from './reoffer.ts';

/** Why a leg is over. */
export interface LegEnd {
  by: 'peer' | 'tacet';
  /** Reason header of the BYE (RFC 3326), if any. */
  reason: string | undefined;
}

/** What a far end is told that it may send to the other side: any other method is passed on too, but not promised. */
const passedMethods = ['INFO', 'MESSAGE', 'NOTIFY', 'OPTIONS', 'PUBLISH', 'REFER', 'SUBSCRIBE'];

/** What we take within a dialog (RFC 3261 section 20.5): without it a far end does not send UPDATE. */
export const allowed = ['INVITE', 'ACK', 'CANCEL', 'BYE', 'PRACK', 'UPDATE', ...passedMethods].join(', ');

/** Methods that are a dialog's own: drachtio-srf's has events for them, or answers them rightly by itself. */
const ofDialogs: ReadonlySet<string> = new Set(['INVITE', 'ACK', 'BYE', 'PRACK', 'UPDATE']);

export interface InDialogRequest {
  method: string;
  headers: Record<string, string>;
  body: string | undefined;
}

export interface InDialogResponse {
  status: number;
  reason?: string | undefined;
  headers?: Record<string, string>;
  body?: string | undefined;
}

type AnswerRequest = (request: InDialogRequest) => Promise<InDialogResponse>;

/** Until somebody knows what to do with a new offer, the far end is asked to try again (RFC 3261 section 14.2). */
const tryAgain: AnswerReoffer = () =>
  Promise.resolve({ status: 491, reason: 'Request Pending', sdp: undefined });

/** Marks of a leg that belongs to no call. */
const unmarked: LegMarks = {
  headers: (crossing = {}) => crossing,
  believed: (headers) => headers,
  heard: () => undefined,
};

/**
 * Wraps a dialog of drachtio-srf. Its re-INVITEs go out as plain requests: `dialog.modify()` of 5.0.29 never returns
 * again after one rejected re-INVITE.
 */
export class Leg implements AsyncDisposable {
  readonly peer: Peer;
  readonly #dialog: Dialog;
  readonly #marks: LegMarks;
  readonly #requests: DialogRequests;
  readonly #ended = new AbortController();
  /** Of a leg that we answered with an offer. */
  readonly #acknowledged: Promise<string | undefined> | undefined;
  #keyListeners: readonly ((digit: Digit) => void)[] = [];
  readonly #agreed: Agreed;
  #moved = false;
  #identity: string | undefined;
  #identityListener: ((identity: string) => void) | undefined;
  #answerReoffer: AnswerReoffer = tryAgain;
  /** Undefined until there is another side. */
  #answerRequest: AnswerRequest | undefined;
  /** A REFER that waits for the other side. */
  #referred: PromiseWithResolvers<AnswerRequest> | undefined;

  /**
   * @param peer whose telephone it is
   * @param agreed what was agreed before the INVITE was answered, beyond what INVITE and 200 say
   */
  constructor(dialog: Dialog, peer: Peer, marks: LegMarks = unmarked, agreed?: Readonly<Agreed>) {
    this.#dialog = dialog;
    this.peer = peer;
    this.#marks = marks;
    this.#requests = new DialogRequests(dialog, marks);
    this.#agreed = { local: written(dialog.local.sdp), remote: written(dialog.remote.sdp), ...agreed };
    this.#identity = identityIn(dialog.type === 'uas' ? dialog.req : dialog.res);
    this.#acknowledged = dialog.type === 'uas' && dialog.req.body === '' ? this.#nextAck() : undefined;
    dialog.on('destroy', (bye) => {
      const reason = headerOf(bye, 'Reason');
      this.#ended.abort({ by: 'peer', reason: reason === '' ? undefined : reason } satisfies LegEnd);
    });
    dialog.on('modify', (req, res) => void this.#reoffered('INVITE', req, res));
    dialog.on('update', (req, res) => void this.#reoffered('UPDATE', req, res));
    this.#takeOthers();
    // A BYE parsed in the same chunk as our 200's echo comes before anybody listens: the flag is all that is left of it.
    if (!dialog.connected) this.#ended.abort({ by: 'peer', reason: undefined } satisfies LegEnd);
  }

  /** Aborted when the leg is over, with a `LegEnd` as reason. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  get end(): LegEnd | undefined {
    return this.#ended.signal.aborted ? (this.#ended.signal.reason as LegEnd) : undefined;
  }

  /** How the far end and we name this dialog (RFC 3261 section 12). */
  get dialog(): { callId: string; localTag: string; remoteTag: string } {
    return this.#dialog.sip;
  }

  /** Where the far end is reached within the dialog: its Contact. */
  get remoteTarget(): string {
    return this.#dialog.remote.uri;
  }

  /** What was agreed with the far end last. */
  get agreed(): Readonly<Agreed> {
    return this.#agreed;
  }

  /** Who the far end says it is: P-Asserted-Identity (RFC 3325), else Remote-Party-ID. */
  get identity(): string | undefined {
    return this.#identity;
  }

  /** The SDP in the first ACK of a leg that we answered with an offer; undefined when the leg ended before. */
  async answerInAck(): Promise<string | undefined> {
    const answer = await this.#acknowledged;
    if (answer !== undefined) this.#agreed.remote = answer;
    return answer;
  }

  /** Time to wait after a 491, milliseconds: who owns the Call-ID waits longer, so that both do not meet again (RFC 3261 section 14.1). */
  glareDelayMs(): number {
    return 10 * (this.#dialog.type === 'uac' ? randomInt(210, 401) : randomInt(0, 201));
  }

  /**
   * Sends a re-INVITE or UPDATE; without `offer` a re-INVITE asks the far end for one. An UPDATE goes out as a re-INVITE to
   * who does not allow UPDATE (RFC 3311 section 4). A lost connection is a 503.
   */
  async reoffer(reoffer: Reoffer): Promise<ReofferAnswer> {
    const { method: asked, offer } = reoffer;
    if (this.ended.aborted) return { status: 481, sdp: undefined };
    const method = asked === 'UPDATE' && !this.#allowsUpdate ? 'INVITE' : asked;
    if (method === 'INVITE' && asked === 'UPDATE' && offer === undefined)
      return { status: 200, sdp: undefined };
    const { contact } = this.#dialog.local;
    const { headers, body } = offered(reoffer);
    try {
      const all = { ...headers, ...(contact === undefined ? {} : { Contact: contact }) };
      return this.#answered(offer, await this.#requests.send({ method, headers: all, body }));
    } catch (error) {
      return { status: 503, reason: messageOf(error), sdp: undefined };
    }
  }

  #answered(offer: string | undefined, { response, ack }: DialogAnswer): ReofferAnswer {
    const answer = answerIn(response, this.#marks);
    const { sdp } = answer;
    if (response.status < 300) {
      if (offer !== undefined) this.#agreed.local = offer;
      if (sdp !== undefined) this.#agreed.remote = sdp;
      this.#tellIdentity(response);
    }
    if (ack === undefined) return answer;
    return {
      ...answer,
      acknowledge: (mine) => {
        if (mine !== undefined) this.#agreed.local = mine;
        ack(mine === undefined ? {} : { body: mine });
      },
    };
  }

  get #allowsUpdate(): boolean {
    const { type, req, res } = this.#dialog;
    return allows(type === 'uas' ? req : res, 'UPDATE');
  }

  /** From now on `handler` says how re-INVITEs and UPDATEs of the far end are answered; one that throws is a 500. */
  onReoffer(handler: AnswerReoffer): void {
    this.#answerReoffer = handler;
  }

  /** From now on `handler` says how other requests of the far end are answered. */
  onRequest(handler: AnswerRequest): void {
    this.#answerRequest = handler;
    this.#referred?.resolve(handler);
  }

  /** From now on `listener` hears of it when another person than before is at the far end (connected identity). */
  onIdentity(listener: (identity: string) => void): void {
    this.#identityListener = listener;
  }

  /** Calls back for every key that the far end tells by INFO. */
  onKey(listener: (digit: Digit) => void): Disposable {
    this.#keyListeners = [...this.#keyListeners, listener];
    return {
      [Symbol.dispose]: () => {
        this.#keyListeners = this.#keyListeners.filter((each) => each !== listener);
      },
    };
  }

  /** Sends a request within the dialog and brings the final response; 481 when the leg is over. */
  async request({ method, headers, body }: InDialogRequest): Promise<InDialogResponse> {
    if (this.ended.aborted) return { status: 481 };
    try {
      const { response } = await this.#requests.send({ method, headers, body });
      return {
        status: response.status,
        reason: response.reason,
        headers: this.#marks.believed(endToEnd(response)),
        body: written(response.body),
      };
    } catch {
      return { status: 503 };
    }
  }

  /** Sends BYE. Idempotent; resolves at once when the leg is over, else when the BYE was answered or given up. */
  async hangUp(reason?: string): Promise<void> {
    if (this.ended.aborted) return;
    this.#ended.abort({ by: 'tacet', reason } satisfies LegEnd);
    try {
      await this.#requests.bye(reason === undefined ? {} : { Reason: reason });
    } catch {
      // The dialog is gone at the server (its connection was lost, or a BYE crossed ours): nothing left to end.
    }
  }

  /** From now on another call ends it: leaving the scope of the one that began it does not. */
  move(): void {
    this.#moved = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#moved) await this.hangUp();
  }

  /** What is not the dialog's own is the other side's to answer, a method too that nobody here knows: drachtio-srf says 501 to it. */
  #takeOthers(): void {
    const dialog = this.#dialog;
    const handle = dialog.handle.bind(dialog);
    dialog.handle = (req, res) => {
      if (ofDialogs.has(req.method)) handle(req, res);
      else void this.#requested(req, res);
    };
  }

  async #reoffered(method: Reoffer['method'], req: SrfRequest, res: SrfResponse): Promise<void> {
    this.#marks.heard(req);
    const offer = written(req.body);
    const elsewho = this.#tellIdentity(req);
    if (!elsewho && this.#isRefresh(method, offer)) {
      this.#answerWith(res, { status: 200, sdp: offer === undefined ? undefined : this.#agreed.local });
      return;
    }
    const ack = method === 'INVITE' && offer === undefined ? this.#nextAck() : undefined;
    const answer = await orServerError(this.#answerReoffer(reofferIn(method, req, this.#marks)));
    // Whoever waits for an answer in an ACK is told that none comes.
    if (this.ended.aborted) return void (await answer.acknowledge?.(undefined));
    this.#answerWith(res, answer);
    if (answer.status >= 300) return;
    if (offer !== undefined) this.#agreed.remote = offer;
    if (answer.sdp !== undefined) this.#agreed.local = answer.sdp;
    if (ack === undefined) return;
    const answered = await ack;
    if (answered !== undefined) this.#agreed.remote = answered;
    await answer.acknowledge?.(answered);
  }

  #answerWith(res: SrfResponse, answer: ReofferAnswer): void {
    sendAnswer(res, answer, this.#marks);
  }

  /** A refresh concerns this leg alone (RFC 4028 section 7.4): an UPDATE without SDP, or the description agreed before. */
  #isRefresh(method: Reoffer['method'], offer: string | undefined): boolean {
    if (offer === undefined) return method === 'UPDATE';
    return offer === this.#agreed.remote && this.#agreed.local !== undefined;
  }

  #tellIdentity(message: SipMessage): boolean {
    const identity = identityIn(message);
    if (identity === undefined || identity === this.#identity) return false;
    this.#identity = identity;
    this.#identityListener?.(identity);
    return true;
  }

  async #requested(req: SrfRequest, res: SrfResponse): Promise<void> {
    this.#marks.heard(req);
    const { method } = req;
    const body = written(req.body);
    const key = method === 'INFO' ? keyInInfo(headerOf(req, 'Content-Type'), body) : undefined;
    if (key !== undefined) for (const listener of this.#keyListeners) listener(key);
    const request = { method, headers: this.#marks.believed(endToEnd(req)), body };
    const response: InDialogResponse = await this.#answer(request).catch(() => ({ status: 500 }));
    if (this.ended.aborted) return;
    const { status, reason, headers = {}, body: answer } = response;
    const all = this.#marks.headers(headers);
    res.send(status, reason, { headers: all, ...(answer === undefined ? {} : { body: answer }) });
  }

  /** Until there is another side a REFER waits for it, all else is taken note of. */
  async #answer(request: InDialogRequest): Promise<InDialogResponse> {
    if (this.#answerRequest !== undefined) return await this.#answerRequest(request);
    if (request.method !== 'REFER') return { status: 200 };
    this.#referred ??= Promise.withResolvers();
    const answer = await this.#referred.promise;
    return await answer(request);
  }

  #nextAck(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const acknowledged = (ack: SrfRequest): void => {
        this.ended.removeEventListener('abort', over);
        resolve(written(ack.body));
      };
      const over = (): void => {
        this.#dialog.removeListener('ack', acknowledged);
        resolve(undefined);
      };
      this.ended.addEventListener('abort', over, { once: true });
      this.#dialog.once('ack', acknowledged);
    });
  }
}

function identityIn(message: SipMessage): string | undefined {
  return headerOf(message, 'P-Asserted-Identity') ?? headerOf(message, 'Remote-Party-ID');
}
