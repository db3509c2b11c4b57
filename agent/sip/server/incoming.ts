/** The user agent server: requests that come in, and the application's responses to them. */
import { randomUUID } from 'node:crypto';
import type { Application } from './application.ts';
import { Dialog, names } from './dialog.ts';
import { refusals, respondIn, responseHeaders, takeTag } from './incoming-response.ts';
import { header, headerOf, listOf } from './message.ts';
import type { Header, RawMessage, SipRequest } from './message.ts';
import { repeat } from './repeats.ts';
import type { Repeated } from './repeats.ts';
import { newTag } from './stack.ts';
import type { Stack } from './stack.ts';
import type { Alarm } from './clock.ts';
import type { ServerTransaction } from './transaction/transaction.ts';
import type { Address, Listener } from './transport.ts';
import { hostPort } from './uri.ts';

const knownMethods = new Set([
  'INVITE',
  'OPTIONS',
  'REGISTER',
  'MESSAGE',
  'INFO',
  'NOTIFY',
  'SUBSCRIBE',
  'PUBLISH',
  'REFER',
]);

interface Received {
  transaction: ServerTransaction;
  owner: Application;
  dialog: Dialog | undefined;
  /** The reliable provisional response that waits for its PRACK. */
  reliable: { rseq: number; repeated: Repeated } | undefined;
  /** Rings when the application has said nothing about an INVITE for 6*64*T1, longer than any proxy's timer C. */
  silence: Alarm | undefined;
}

export interface IncomingOptions {
  /** The application that takes new requests of this method; undefined where none does. */
  route(method: string): Application | undefined;
  connected(): boolean;
  /** Seconds for Retry-After while new calls are refused; undefined takes them. */
  refusing(): number | undefined;
  /** Sends a BYE of the server's own in this dialog. */
  bye(dialog: Dialog, reason: string, tell: boolean): void;
}

export class Incoming {
  readonly #stack: Stack;
  readonly #options: IncomingOptions;
  /** Requests delivered to an application and not yet over, by transaction id. */
  readonly #received = new Map<string, Received>();
  /** INVITEs by Call-ID, CSeq and From tag: a second way to us is a merged request (RFC 3261 section 8.2.2.2). */
  readonly #merging = new Map<string, ServerTransaction>();

  constructor(stack: Stack, options: IncomingOptions) {
    this.#stack = stack;
    this.#options = options;
  }

  receive(request: SipRequest, source: Address, listener: Listener): void {
    const received = { request, source, listener };
    if (request.method === 'ACK') {
      this.#acknowledged(received);
      return;
    }
    const again = this.#stack.serverFor(request);
    if (again) {
      again.machine.handle('request');
      return;
    }
    const transaction = this.#stack.openServer(received, newTag(), {
      onTimeout: (late) => this.#late(late),
      onEnded: (over) => this.#over(over),
    });
    if (request.method === 'CANCEL') {
      this.#cancelled(transaction);
      return;
    }
    if (headerOf(request, 'max-forwards') === '0') {
      this.#refuse(transaction, 483);
      return;
    }
    if (request.method === 'INVITE') {
      respondIn(transaction, 100, 'Trying', []);
      if (listOf(request, 'contact').length === 0) {
        this.#refuse(transaction, 400, header('Warning', `399 ${listener.host} "INVITE without Contact"`));
        return;
      }
    }
    if (request.to.params.has('tag')) {
      this.#inDialog(transaction);
      return;
    }
    this.#new(transaction);
  }

  /** The application's response to a request that was delivered to it. */
  respond(owner: Application, rid: string, transactionId: string, raw: RawMessage): void {
    const received = this.#received.get(transactionId);
    const match = /^SIP\/2\.0 ([1-6]\d\d)(?: (.*))?$/u.exec(raw.startLine);
    if (received?.owner !== owner || !match || received.transaction.final) {
      owner.refuse(rid, 'Response not sent due to unknown transaction');
      return;
    }
    const { transaction } = received;
    const status = Number(match[1]);
    const reliable =
      status > 100 &&
      status < 200 &&
      transaction.request.method === 'INVITE' &&
      names(raw, 'require', '100rel');
    if (reliable) {
      const { request } = transaction;
      if (!names(request, 'supported', '100rel') && !names(request, 'require', '100rel')) {
        owner.refuse(rid, 'Remote endpoint does not support 100rel');
        return;
      }
      if (received.reliable) {
        owner.refuse(rid, 'A reliable provisional response waits for its PRACK');
        return;
      }
    }
    takeTag(transaction, raw);
    if (transaction.request.method === 'INVITE' && status > 100) this.#dialogOf(received, status);
    const { dialog } = received;
    const headers = responseHeaders(transaction, dialog, status, raw);
    if (reliable && dialog) {
      dialog.rseq = (dialog.rseq ?? 0) + 1;
      headers.push(header('RSeq', String(dialog.rseq)));
    }
    const text = respondIn(transaction, status, match[2] ?? '', headers, raw.body);
    owner.responseSent(
      rid,
      text,
      transaction.responseAddress,
      transaction.listener,
      transaction.id,
      transaction.request.method === 'INVITE' && status > 100
        ? (dialog?.id ?? dialogId(transaction.request))
        : '',
    );
    received.silence?.cancel();
    received.silence = undefined;
    if (transaction.request.method === 'INVITE') this.#afterInviteResponse(received, status, text, reliable);
    else if (status >= 200 && transaction.request.method === 'BYE' && dialog)
      this.#stack.dialogs.remove(dialog);
  }

  /** The application is gone: nobody will answer what it was given. */
  abandon(owner: Application): void {
    for (const received of [...this.#received.values()]) {
      if (received.owner !== owner || received.transaction.final) continue;
      this.#refuse(received.transaction, 503, header('Retry-After', '5'));
    }
  }

  #new(transaction: ServerTransaction): void {
    const { request } = transaction;
    const { method } = request;
    if (method === 'BYE' || method === 'UPDATE' || method === 'PRACK') {
      this.#refuse(transaction, 481);
      return;
    }
    const refusing = this.#options.refusing();
    if (method === 'INVITE') {
      const key = mergeKey(request);
      const other = this.#merging.get(key);
      if (other) {
        this.#refuse(transaction, 482);
        return;
      }
      this.#merging.set(key, transaction);
      if (refusing !== undefined) {
        this.#refuse(transaction, 503, header('Retry-After', String(refusing)));
        return;
      }
    }
    const owner = this.#options.route(method.toLowerCase());
    if (!owner) {
      if (method === 'INVITE' || !this.#options.connected()) {
        this.#refuse(transaction, 503, header('Retry-After', '5'));
        return;
      }
      this.#refuse(
        transaction,
        knownMethods.has(method) ? 405 : 501,
        header('Allow', 'INVITE, ACK, CANCEL, BYE'),
      );
      return;
    }
    const received = { transaction, owner, dialog: undefined, reliable: undefined, silence: undefined };
    this.#received.set(transaction.id, received);
    if (method === 'INVITE') this.#expectAnswer(received);
    owner.newRequest(request, transaction, transaction.id);
  }

  #inDialog(transaction: ServerTransaction): void {
    const { request } = transaction;
    const dialog = this.#stack.dialogs.forRequest(request);
    if (!dialog) {
      this.#refuse(transaction, 481);
      return;
    }
    if (dialog.remoteSeq !== undefined && request.cseq < dialog.remoteSeq) {
      this.#refuse(transaction, 500);
      return;
    }
    if (request.method === 'INVITE') {
      // RFC 3261 section 14.2: theirs is still open, or ours is.
      if (dialog.inviteIn) {
        this.#refuse(transaction, 500, header('Retry-After', '2'));
        return;
      }
      if (dialog.inviteOut) {
        this.#refuse(transaction, 491);
        return;
      }
    }
    if (request.method === 'PRACK' && !this.#acknowledgedProvisionally(dialog, request)) {
      this.#refuse(transaction, 481);
      return;
    }
    dialog.remoteSeq = request.cseq;
    const received = { transaction, owner: dialog.owner, dialog, reliable: undefined, silence: undefined };
    this.#received.set(transaction.id, received);
    if (request.method === 'INVITE') {
      dialog.inviteIn = { end: () => this.#refuse(transaction, 487) };
      this.#expectAnswer(received);
      dialog.refreshTarget(request, transaction.source);
    } else if (request.method === 'UPDATE') dialog.refreshTarget(request, transaction.source);
    else if (request.method === 'BYE') {
      // RFC 3261 section 15.1.2: what is still open in the dialog ends with it.
      dialog.stopAnswerTimers();
      dialog.inviteIn?.end();
      const held = dialog.heldBye;
      dialog.heldBye = undefined;
      held?.();
    }
    dialog.owner.message(request, transaction, transaction.id, dialog.id);
  }

  /** An ACK: to a final response of a transaction, or to a 2xx of a dialog. */
  #acknowledged({
    request,
    source,
    listener,
  }: {
    request: SipRequest;
    source: Address;
    listener: Listener;
  }): void {
    const transaction = this.#stack.serverFor(request, 'INVITE');
    if (transaction?.machine.handle('ACK') || (transaction?.status ?? 0) >= 300) return;
    const dialog = this.#stack.dialogs.forRequest(request);
    const answered = dialog?.answered;
    if (!dialog || answered?.cseq !== request.cseq) {
      if (!dialog) this.#stack.counted.dropped['stray ACK'] += 1;
      return;
    }
    dialog.stopAnswerTimers();
    dialog.owner.message(request, { source, listener }, answered.transaction ?? randomUUID(), dialog.id);
    const held = dialog.heldBye;
    dialog.heldBye = undefined;
    held?.();
  }

  #cancelled(cancel: ServerTransaction): void {
    const transaction = this.#stack.serverFor(cancel.request, 'INVITE');
    if (!transaction) {
      this.#refuse(cancel, 481);
      return;
    }
    respondIn(cancel, 200, 'OK', []);
    if (transaction.final) return;
    const received = this.#received.get(transaction.id);
    this.#refuse(transaction, 487);
    if (!received) return;
    const { owner, dialog } = received;
    if (dialog) owner.message(cancel.request, cancel, transaction.id, dialog.id);
    else owner.newRequest(cancel.request, cancel, transaction.id);
  }

  #acknowledgedProvisionally(dialog: Dialog, prack: SipRequest): boolean {
    const rack = /^(\d+)[ \t]+(\d+)[ \t]+INVITE$/u.exec(headerOf(prack, 'rack') ?? '');
    for (const received of this.#received.values()) {
      const { reliable, transaction } = received;
      if (received.dialog !== dialog || !reliable || !rack) continue;
      if (Number(rack[1]) !== reliable.rseq || Number(rack[2]) !== transaction.request.cseq) continue;
      this.#settle(received);
      return true;
    }
    return false;
  }

  #expectAnswer(received: Received): void {
    received.silence = this.#stack.after(6 * this.#stack.giveUpMs, () => this.#late(received.transaction));
  }

  #settle(received: Received): void {
    received.reliable?.repeated.cancel();
    received.reliable = undefined;
  }

  /** Makes, confirms or ends the dialog that this response to an INVITE is about. */
  #dialogOf(received: Received, status: number): void {
    const { transaction, owner } = received;
    const { request, listener } = transaction;
    if (status >= 300) return;
    if (received.dialog === undefined) {
      const routeSet = listOf(request, 'record-route');
      const dialog = new Dialog({
        id: dialogId(request),
        callId: request.callId,
        localTag: transaction.localTag,
        remoteTag: request.from.params.get('tag') ?? '',
        local: `${headerOf(request, 'to') ?? ''};tag=${transaction.localTag}`,
        remote: headerOf(request, 'from') ?? '',
        localSeq: 0,
        remoteSeq: request.cseq,
        remoteTarget: request.from.uri,
        routeSet,
        listener,
        contact: `<sip:${hostPort(listener.host, listener.port)}>`,
        owner,
      });
      dialog.refreshTarget(request, transaction.source);
      dialog.inviteIn = { end: () => this.#refuse(transaction, 487) };
      received.dialog = dialog;
      this.#stack.dialogs.add(dialog);
    }
    if (status >= 200) received.dialog.state = 'confirmed';
  }

  #afterInviteResponse(received: Received, status: number, text: string, reliable: boolean): void {
    const { dialog, transaction } = received;
    if (status < 200) {
      if (reliable && dialog) this.#repeatUntilPrack(received, dialog, text);
      return;
    }
    this.#settle(received);
    if (!dialog) return;
    dialog.inviteIn = undefined;
    if (status < 300) this.#repeatUntilAck(received, dialog, text);
    else if (!transaction.request.to.params.has('tag')) this.#stack.dialogs.remove(dialog);
  }

  #repeatUntilAck(received: Received, dialog: Dialog, text: string): void {
    const stack = this.#stack;
    const { transaction } = received;
    const initial = !transaction.request.to.params.has('tag');
    dialog.stopAnswerTimers();
    const send = () => transaction.listener.send(text, transaction.responseAddress);
    const giveUp = () => {
      dialog.stopAnswerTimers();
      const held = dialog.heldBye;
      dialog.heldBye = undefined;
      if (held) held();
      else this.#options.bye(dialog, 'ACK timeout', true);
    };
    dialog.answered = {
      cseq: transaction.request.cseq,
      transaction: initial ? transaction.id : undefined,
      repeated: repeat(stack, send, giveUp, stack.timers.t2Ms),
    };
  }

  /** RFC 3262 section 3: without a PRACK in 64*T1 the INVITE is refused. */
  #repeatUntilPrack(received: Received, dialog: Dialog, text: string): void {
    const { transaction } = received;
    const send = () => transaction.listener.send(text, transaction.responseAddress);
    received.reliable = {
      rseq: dialog.rseq ?? 0,
      repeated: repeat(this.#stack, send, () => this.#refuse(transaction, 500)),
    };
  }

  #late(transaction: ServerTransaction): void {
    if (!transaction.final) this.#refuse(transaction, 500);
  }

  #over(transaction: ServerTransaction): void {
    const received = this.#received.get(transaction.id);
    if (received) this.#settle(received);
    this.#received.delete(transaction.id);
    if (transaction.request.method !== 'INVITE') return;
    const key = mergeKey(transaction.request);
    if (this.#merging.get(key) === transaction) this.#merging.delete(key);
  }

  /** A final response of the server's own; what hangs on the request ends. */
  #refuse(transaction: ServerTransaction, status: keyof typeof refusals, ...headers: Header[]): void {
    if (transaction.final) return;
    respondIn(transaction, status, refusals[status], headers);
    const received = this.#received.get(transaction.id);
    if (!received) return;
    this.#settle(received);
    received.silence?.cancel();
    const { dialog } = received;
    if (!dialog) return;
    const { method, to } = transaction.request;
    if (method === 'INVITE') dialog.inviteIn = undefined;
    if (method === 'BYE' || (method === 'INVITE' && !to.params.has('tag')))
      this.#stack.dialogs.remove(dialog);
  }
}

function dialogId(request: SipRequest): string {
  return `${request.callId};from-tag=${request.from.params.get('tag') ?? ''}`;
}

function mergeKey(request: SipRequest): string {
  return `${request.callId}|${request.cseq}|${request.from.params.get('tag') ?? ''}`;
}
