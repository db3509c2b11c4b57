/** Requests of ours within a dialog: with the leg's marks, signed where the far end asks for credentials. */
import type { Dialog, SrfResponse } from 'drachtio-srf';
import type { LegMarks } from './correlation.ts';

export interface DialogRequest {
  method: string;
  headers: Record<string, string>;
  body: string | undefined;
}

export interface DialogAnswer {
  response: SrfResponse;
  /** Only for a 2xx to an INVITE without body: the ACK is the caller's to send. */
  ack: ((opts?: { headers?: Record<string, string>; body?: string }) => void) | undefined;
}

export class DialogRequests {
  readonly #dialog: Dialog;
  readonly #marks: LegMarks;

  constructor(dialog: Dialog, marks: LegMarks) {
    this.#dialog = dialog;
    this.#marks = marks;
  }

  /** Sends a request and brings its final response. @throws when the dialog or the connection to the server is gone */
  async send(request: DialogRequest): Promise<DialogAnswer> {
    const { method } = request;
    const first = await this.#sendOnce(request, this.#signed(method));
    const signed = this.#signedFor(first.response);
    return signed === undefined ? first : await this.#sendOnce(request, signed);
  }

  /** Sends BYE and lets go of the dialog; resolves when it was answered or given up. @throws as `send` */
  async bye(headers: Record<string, string>): Promise<void> {
    const all = this.#marks.headers(headers);
    let signature = this.#signed('BYE');
    // `destroy` alone would forget the dialog with the first answer, a challenge included.
    if (Object.keys(signature).length > 0) {
      const bye = await this.#dialog.request({ method: 'BYE', headers: { ...all, ...signature } });
      const again = this.#signedFor(bye);
      if (again === undefined) return;
      signature = again;
    }
    await this.#dialog.destroy({ headers: { ...all, ...signature } });
  }

  /**
   * Not by `dialog.request`, which sends no method that it does not know, and keeps to itself the request to which drachtio-srf
   * 5.0.29 hands an UPDATE that comes before its answer (the embedded server holds such an UPDATE back, drachtio-server does not).
   */
  async #sendOnce(
    { method, headers, body }: DialogRequest,
    signature: Record<string, string>,
  ): Promise<DialogAnswer> {
    const dialog = this.#dialog;
    const sent = await dialog.srf.request({
      method,
      uri: 'sip:placeholder',
      stackDialogId: dialog.id,
      headers: { ...this.#marks.headers(headers), ...signature },
      ...(body === undefined ? {} : { body }),
    });
    sent.on('update', (req, res) => dialog.handle(req, res));
    return await new Promise<DialogAnswer>((resolve) => {
      sent.on('response', (response, ack) => {
        if (response.status < 200) return;
        this.#marks.heard(response);
        const owed = method === 'INVITE' && response.status === 200 && body === undefined;
        if (method === 'INVITE' && !owed) ack();
        resolve({ response, ack: owed ? ack : undefined });
      });
    });
  }

  /** Credentials for a request before anybody asks again: what a challenged dialog owes from then on. */
  #signed(method: string): Record<string, string> {
    return this.#marks.digest?.sign(method, this.#dialog.remote.uri) ?? {};
  }

  /** Credentials for the request that this response refuses; undefined when it does not, or must not be given any. */
  #signedFor(response: SrfResponse): Record<string, string> | undefined {
    if (this.#marks.digest?.challenged(response, false) !== true) return undefined;
    return this.#marks.digest.sign(response.req.method, response.req.uri);
  }
}
