/** One SIP dialog of a call, as the call logic sees it: an end, offers and answers, requests passed along. */
import type { Dialog, SrfRequest, SrfResponse } from 'drachtio-srf';
import { messageOf } from '../../config/errors.ts';
import type { LegMarks } from './correlation.ts';

/** Why a leg is over. */
export interface LegEnd {
  by: 'peer' | 'tacet';
  /** Reason header of the BYE (RFC 3326), if any. */
  reason: string | undefined;
}

export interface ReofferAnswer {
  status: number;
  reason?: string | undefined;
  sdp: string | undefined;
  /** Only after an offer without SDP: hands over the answer that the ACK carries (RFC 3261 section 14.1). */
  acknowledge?: (answer: string | undefined) => void;
}

/** A re-INVITE or UPDATE that came from a leg's far end; `offer` is undefined in a re-INVITE without SDP. */
export interface Reoffer {
  method: 'INVITE' | 'UPDATE';
  offer: string | undefined;
}

/** Requests that a B2BUA hands through unchanged within a dialog. */
export const passedMethods = ['INFO', 'MESSAGE', 'NOTIFY', 'REFER'] as const;

export interface InDialogRequest {
  method: (typeof passedMethods)[number];
  headers: Record<string, string>;
  body: string | undefined;
}

/** End-to-end headers of a request passed within a dialog. */
const passedHeaders = [
  'Content-Type',
  'Info-Package',
  'Event',
  'Subscription-State',
  'Refer-To',
  'Referred-By',
  'Replaces',
  'Reason',
];

/** Marks of a leg that belongs to no call. */
const unmarked: LegMarks = { headers: () => ({}), heard: () => undefined };

/**
 * Wraps a dialog of drachtio-srf. Its re-INVITEs go out as plain requests: `dialog.modify()` of 5.0.29 never returns
 * again after one rejected re-INVITE.
 */
export class Leg implements AsyncDisposable {
  readonly #dialog: Dialog;
  readonly #marks: LegMarks;
  readonly #ended = new AbortController();
  readonly #acknowledged: Promise<string | undefined>;
  /** Until somebody knows what to do with a new offer, the far end is asked to try again (RFC 3261 section 14.2). */
  #answerReoffer: (reoffer: Reoffer) => Promise<ReofferAnswer> = () =>
    Promise.resolve({ status: 491, reason: 'Request Pending', sdp: undefined });
  #answerRequest: (request: InDialogRequest) => Promise<number> = () => Promise.resolve(200);

  constructor(dialog: Dialog, marks: LegMarks = unmarked) {
    this.#dialog = dialog;
    this.#marks = marks;
    this.#acknowledged = this.#nextAck();
    dialog.on('destroy', (bye) => {
      const reason = bye.get('Reason');
      this.#ended.abort({ by: 'peer', reason: reason === '' ? undefined : reason } satisfies LegEnd);
    });
    dialog.on('modify', (req, res) => void this.#reoffered('INVITE', req, res));
    dialog.on('update', (req, res) => void this.#reoffered('UPDATE', req, res));
    for (const method of passedMethods) {
      dialog.on(method.toLowerCase() as 'info', (req, res) => void this.#requested(method, req, res));
    }
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

  get callId(): string {
    return this.#dialog.sip.callId;
  }

  /** The SDP in the first ACK of a leg that we answered with an offer; undefined when the leg ended before. */
  async answerInAck(): Promise<string | undefined> {
    return this.#acknowledged;
  }

  /** Sends a re-INVITE (or UPDATE); without `offer` it asks the far end for one. A lost connection is a 503. */
  async reoffer(reoffer: Reoffer): Promise<ReofferAnswer> {
    if (this.ended.aborted) return { status: 481, sdp: undefined };
    const { uri } = this.#dialog.remote;
    const { answer, signed } = await this.#reofferOnce(reoffer, this.#signed(reoffer.method, uri));
    return signed === undefined || this.ended.aborted
      ? answer
      : (await this.#reofferOnce(reoffer, signed)).answer;
  }

  async #reofferOnce(
    { method, offer }: Reoffer,
    signature: Record<string, string>,
  ): Promise<{ answer: ReofferAnswer; signed?: Record<string, string> | undefined }> {
    const { contact } = this.#dialog.local;
    return new Promise((resolveWith) => {
      const resolve = (answer: ReofferAnswer, signed?: Record<string, string>): void =>
        resolveWith({ answer, signed });
      this.#dialog.request(
        {
          method,
          headers: {
            ...(contact === undefined ? {} : { Contact: contact }),
            ...this.#marks.headers(),
            ...signature,
          },
          ...(offer === undefined ? { noAck: true } : { body: offer }),
        },
        (error, response, ack) => {
          if (error !== null && error !== undefined) {
            return resolve({ status: 503, reason: messageOf(error), sdp: undefined });
          }
          if (response === undefined || response.status < 200) return;
          this.#marks.heard(response);
          const sdp = response.body === '' ? undefined : response.body;
          const answer: ReofferAnswer = {
            status: response.status,
            reason: response.reason,
            sdp,
            ...(ack === undefined
              ? {}
              : { acknowledge: (given) => ack(given === undefined ? {} : { body: given }) }),
          };
          resolve(answer, this.#signedFor(response));
        },
      );
    });
  }

  /** From now on `handler` says how re-INVITEs and UPDATEs of the far end are answered; one that throws is a 500. */
  onReoffer(handler: (reoffer: Reoffer) => Promise<ReofferAnswer>): void {
    this.#answerReoffer = handler;
  }

  /** From now on `handler` says with which status other requests of the far end are answered. */
  onRequest(handler: (request: InDialogRequest) => Promise<number>): void {
    this.#answerRequest = handler;
  }

  /** Sends a request within the dialog and tells the final status; 481 when the leg is over. */
  async request({ method, headers, body }: InDialogRequest): Promise<number> {
    if (this.ended.aborted) return 481;
    try {
      const send = (signature: Record<string, string>): Promise<SrfResponse> =>
        this.#dialog.request({
          method,
          headers: { ...headers, ...this.#marks.headers(), ...signature },
          ...(body === undefined ? {} : { body }),
        });
      const response = await send(this.#signed(method, this.#dialog.remote.uri));
      this.#marks.heard(response);
      const signed = this.#signedFor(response);
      return signed === undefined ? response.status : (await send(signed)).status;
    } catch {
      return 503;
    }
  }

  /** Sends BYE. Idempotent; resolves at once when the leg is over, else when the BYE was answered or given up. */
  async hangUp(reason?: string): Promise<void> {
    if (this.ended.aborted) return;
    this.#ended.abort({ by: 'tacet', reason } satisfies LegEnd);
    const headers = { ...(reason === undefined ? {} : { Reason: reason }), ...this.#marks.headers() };
    try {
      const signature = await this.#byeSigned(headers);
      if (signature !== 'taken') await this.#dialog.destroy({ headers: { ...headers, ...signature } });
    } catch {
      // The dialog is gone at the server (its connection was lost, or a BYE crossed ours): nothing left to end.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hangUp();
  }

  /**
   * On a dialog that was challenged: sends the BYE with credentials. 'taken' when the far end is content, else what a
   * second BYE must be signed with. `destroy` alone would forget the dialog with the first answer, a challenge included.
   */
  async #byeSigned(headers: Record<string, string>): Promise<Record<string, string> | 'taken'> {
    const signature = this.#signed('BYE', this.#dialog.remote.uri);
    if (Object.keys(signature).length === 0) return {};
    const bye = await this.#dialog.request({ method: 'BYE', headers: { ...headers, ...signature } });
    return this.#signedFor(bye) ?? 'taken';
  }

  /** Credentials for a request before anybody asks again: what a challenged dialog owes from then on. */
  #signed(method: string, uri: string): Record<string, string> {
    return this.#marks.digest?.sign(method, uri) ?? {};
  }

  /** Credentials for the request that this response refuses; undefined when it does not, or must not be given any. */
  #signedFor(response: SrfResponse): Record<string, string> | undefined {
    if (this.#marks.digest?.challenged(response, false) !== true) return undefined;
    return this.#marks.digest.sign(response.req.method, response.req.uri);
  }

  async #reoffered(method: Reoffer['method'], req: SrfRequest, res: SrfResponse): Promise<void> {
    this.#marks.heard(req);
    const offer = req.body === '' ? undefined : req.body;
    // A refresh without SDP concerns this leg alone (RFC 4028 section 7.4).
    if (method === 'UPDATE' && offer === undefined) {
      return void res.send(200, { headers: this.#marks.headers() });
    }
    const ack = method === 'INVITE' && offer === undefined ? this.#nextAck() : undefined;
    const answer: ReofferAnswer = await this.#answerReoffer({ method, offer }).catch((error: unknown) => ({
      status: 500,
      reason: messageOf(error).slice(0, 60),
      sdp: undefined,
    }));
    if (this.ended.aborted) return;
    const headers = this.#marks.headers();
    res.send(
      answer.status,
      answer.reason,
      answer.sdp === undefined
        ? { headers }
        : { body: answer.sdp, headers: { ...headers, 'Content-Type': 'application/sdp' } },
    );
    if (ack !== undefined) answer.acknowledge?.(await ack);
  }

  async #requested(method: InDialogRequest['method'], req: SrfRequest, res: SrfResponse): Promise<void> {
    this.#marks.heard(req);
    const headers = Object.fromEntries(
      passedHeaders.flatMap((name) => {
        const value = req.get(name);
        return value === undefined ? [] : [[name, value]];
      }),
    );
    const body = req.body === '' ? undefined : req.body;
    const status = await this.#answerRequest({ method, headers, body }).catch(() => 500);
    if (!this.ended.aborted) res.send(status, { headers: this.#marks.headers() });
  }

  #nextAck(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const over = (): void => resolve(undefined);
      this.ended.addEventListener('abort', over, { once: true });
      this.#dialog.once('ack', (ack) => {
        this.ended.removeEventListener('abort', over);
        resolve(ack.body === '' ? undefined : ack.body);
      });
    });
  }
}
