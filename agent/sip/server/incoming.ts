/** The user agent server: requests that come in, and the application's responses to them. */
import type { Application } from './application.ts';
import { confirm, dialogId, dialogUnder, dropBranches, repeatUntilAck } from './answered.ts';
import type { Dialog, OpenInvite } from './dialog.ts';
import { newId, newTag } from './ids.ts';
import { crossed, mergeKey, untaken, whyRefused } from './incoming-checks.ts';
import { refusals, respondIn, responseHeaders, takeTag } from './incoming-response.ts';
import { descriptionIn, header, headerOf } from './message.ts';
import type { Header, RawMessage, SipRequest } from './message.ts';
import { Received } from './received.ts';
import type { Reliability } from './received.ts';
import { answerSession } from './session-timer.ts';
import type { Session } from './session-timer.ts';
import type { Stack } from './stack.ts';
import type { Arrived, ServerTransaction } from './transaction/transaction.ts';
import type { Address, Listener } from './transport.ts';

const transactionUnknown = 'Response not sent due to unknown transaction';

/** A response of the application as its frame says it. */
interface Answer {
  rid: string;
  status: number;
  reason: string;
  raw: RawMessage;
  reliability: Reliability;
}

export interface IncomingOptions {
  /** The application that takes new requests of this method; undefined where none does. */
  route(method: string): Application | undefined;
  connected(): boolean;
  /** Seconds for Retry-After while new calls are refused; undefined takes them. */
  refusing(): number | undefined;
  /** Sends a BYE of the server's own in this dialog. */
  bye(dialog: Dialog, reason: string, tell: boolean): void;
  /** Runs the session timer of a dialog by what was agreed on. */
  startSession(dialog: Dialog, session: Session | undefined): void;
}

export class Incoming {
  readonly #stack: Stack;
  readonly #options: IncomingOptions;
  /** Requests delivered to an application and not yet over, by transaction id. */
  readonly #received = new Map<string, Received>();
  /** New requests by Call-ID, CSeq and From tag: a second way to us is a merged request (RFC 3261 section 8.2.2.2). */
  readonly #merging = new Set<string>();

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
    this.#take(transaction);
    if (transaction.final) this.#forget(transaction);
  }

  #take(transaction: ServerTransaction): void {
    const { request, listener } = transaction;
    if (request.method === 'CANCEL') {
      this.#cancelled(transaction);
      return;
    }
    if (request.method === 'INVITE') respondIn(transaction, 100, 'Trying', []);
    const refusal = whyRefused(request, this.#stack, listener.host);
    if (refusal) this.#refuse(transaction, refusal.status, ...refusal.headers);
    else if (request.to.params.has('tag')) this.#inDialog(transaction);
    else this.#new(transaction);
  }

  /** The application's response to a request that was delivered to it. */
  respond(owner: Application, rid: string, transactionId: string, raw: RawMessage): void {
    const received = this.#received.get(transactionId);
    const match = /^SIP\/2\.0 ([1-6]\d\d)(?: (.*))?$/u.exec(raw.startLine);
    if (received?.owner !== owner || !match || received.transaction.final) {
      owner.refuse(rid, transactionUnknown);
      return;
    }
    const status = Number(match[1]);
    const reliability = received.reliabilityOf(status, raw);
    if (typeof reliability === 'object') {
      owner.refuse(rid, reliability.refused);
      return;
    }
    const answer = { rid, status, reason: match[2] ?? '', raw, reliability };
    const later = {
      send: () => this.#answer(received, answer),
      refuse: () => owner.refuse(rid, transactionUnknown),
    };
    if (!received.postpones(status, reliability, later)) this.#answer(received, answer);
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
    const key = mergeKey(request);
    if (this.#merging.has(key)) {
      this.#refuse(transaction, 482);
      return;
    }
    this.#merging.add(key);
    transaction.mergeKey = key;
    const refusing = this.#options.refusing();
    if (method === 'INVITE') {
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
      const { status, headers } = untaken(method);
      this.#refuse(transaction, status, ...headers);
      return;
    }
    const received = new Received(transaction, owner, undefined);
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
    dialog.remoteSeq = request.cseq;
    const crossing = crossed(dialog, request);
    if (crossing) {
      this.#refuse(transaction, crossing.status, ...crossing.headers);
      return;
    }
    const received = new Received(transaction, dialog.owner, dialog);
    this.#received.set(transaction.id, received);
    dialog.learn(request);
    switch (request.method) {
      case 'PRACK':
        this.#acknowledgedProvisionally(received, dialog);
        return;
      case 'INVITE':
        dialog.inviteIn = this.#open(received);
        this.#expectAnswer(received);
        dialog.offers.carried('theirs', descriptionIn(request), true);
        break;
      case 'UPDATE':
        dialog.updateIn = true;
        dialog.offers.carried('theirs', descriptionIn(request), true);
        break;
      case 'BYE': {
        // RFC 3261 section 15.1.2: what is still open in the dialog ends with it.
        dialog.stopAnswerTimers();
        dialog.session.stop();
        dialog.inviteIn?.end();
        const held = dialog.heldBye;
        dialog.heldBye = undefined;
        held?.();
        break;
      }
    }
    const deliver = () => dialog.owner.message(request, transaction, transaction.id, dialog.id);
    if (request.method !== 'UPDATE' || dialog.state === 'early') deliver();
    else dialog.openRequests.whenNone(() => this.#deliverLater(transaction, dialog, deliver));
  }

  #deliverLater(transaction: ServerTransaction, dialog: Dialog, deliver: () => void): void {
    if (transaction.final) return;
    if (dialog.state === 'ended') this.#refuse(transaction, 481);
    else deliver();
  }

  /** An ACK: to a final response of a transaction, or to a 2xx of a dialog. */
  #acknowledged({ request, source, listener }: Arrived): void {
    const transaction = this.#stack.serverFor(request, 'INVITE');
    if (transaction?.machine.handle('ACK') || (transaction?.status ?? 0) >= 300) return;
    const dialog = this.#stack.dialogs.forRequest(request);
    const answered = dialog?.answered;
    if (!dialog || answered?.cseq !== request.cseq) {
      if (!dialog) this.#stack.counted.dropped['stray ACK'] += 1;
      return;
    }
    dialog.stopAnswerTimers();
    dialog.offers.carried('theirs', descriptionIn(request), false);
    if (!dialog.updateOut) dialog.offers.concluded('ours');
    dialog.owner.message(request, { source, listener }, answered.transaction ?? newId(), dialog.id);
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

  /** A PRACK: delivered before what it lets go out, answered by us where the application asked for none. */
  #acknowledgedProvisionally(received: Received, dialog: Dialog): void {
    const { request } = received.transaction;
    const rack = /^(\d{1,10})[ \t]+(\d{1,10})[ \t]+INVITE$/u.exec(headerOf(request, 'rack') ?? '');
    const fits = rack && dialog.inviteIn?.acknowledged?.(dialog, Number(rack[1]), Number(rack[2]));
    if (!fits) {
      this.#refuse(received.transaction, 481);
      return;
    }
    const description = descriptionIn(request);
    dialog.offers.carried('theirs', description, true);
    if (fits.own && description === '') respondIn(received.transaction, 200, 'OK', []);
    else received.owner.message(request, received.transaction, received.transaction.id, dialog.id);
    dialog.inviteIn?.release?.();
  }

  /** An INVITE of theirs as its dialog sees it. */
  #open(received: Received): OpenInvite {
    return {
      end: () => this.#refuse(received.transaction, 487),
      acknowledged: (...rack) => received.provisionallyAcknowledged(...rack),
      release: () => received.release(),
    };
  }

  #expectAnswer(received: Received): void {
    received.silence = this.#stack.after(6 * this.#stack.giveUpMs, () => this.#late(received.transaction));
  }

  #answer(received: Received, { rid, status, reason, raw, reliability }: Answer): void {
    const { transaction, owner } = received;
    const { request } = transaction;
    if (transaction.final) {
      owner.refuse(rid, transactionUnknown);
      return;
    }
    const inviting = request.method === 'INVITE';
    const tag = takeTag(transaction, raw);
    if (inviting && status > 100 && status < 300) {
      const branch = dialogUnder(this.#stack, received, tag, () => this.#open(received));
      if (status >= 200) confirm(this.#stack, received, branch);
    }
    const dialog = received.branches.get(tag) ?? received.dialog;
    const headers = responseHeaders(transaction, dialog, status, raw);
    if (reliability !== 'unreliable' && dialog) {
      dialog.rseq = (dialog.rseq ?? 0) + 1;
      headers.push(header('RSeq', String(dialog.rseq)));
      if (reliability === 'own') headers.push(header('Require', '100rel'));
    }
    const success = status >= 200 && status < 300;
    const session =
      success && (inviting || request.method === 'UPDATE')
        ? answerSession(request, headers, this.#stack.session)
        : undefined;
    const text = respondIn(transaction, status, reason, headers, raw.body, tag);
    const named = inviting && status > 100 ? (dialog?.id ?? dialogId(request)) : '';
    owner.responseSent(rid, text, transaction.responseAddress, transaction.listener, transaction.id, named);
    received.silence?.cancel();
    received.silence = undefined;
    if (dialog) this.#carriedOut(received, dialog, status, raw, reliability);
    if (inviting) this.#afterInviteResponse(received, dialog, status, text, reliability);
    if (status < 200) return;
    this.#forget(transaction);
    if (!dialog) return;
    if (request.method === 'BYE') this.#stack.dialogs.remove(dialog);
    else if (success && (inviting || request.method === 'UPDATE'))
      this.#options.startSession(dialog, session);
  }

  /** What a response does to the offers and to the remote target of its dialog (RFC 6141 section 4 for the latter). */
  #carriedOut(
    received: Received,
    dialog: Dialog,
    status: number,
    raw: RawMessage,
    reliability: Reliability,
  ): void {
    const { request, source } = received.transaction;
    const counts = reliability !== 'unreliable' || (status >= 200 && status < 300);
    if (counts) {
      const description = raw.body.startsWith('v=0') ? raw.body : descriptionIn(raw);
      const mayOffer = request.method === 'INVITE' && !received.offered && !received.described;
      dialog.offers.carried('ours', description, mayOffer);
      received.described ||= description !== '';
      if (request.method === 'INVITE' || request.method === 'UPDATE') dialog.refreshTarget(request, source);
    }
    if (status >= 200 && received.offered) dialog.offers.concluded('theirs');
    if (status >= 200 && request.method === 'UPDATE') dialog.updateIn = false;
  }

  #afterInviteResponse(
    received: Received,
    dialog: Dialog | undefined,
    status: number,
    text: string,
    reliability: Reliability,
  ): void {
    const { transaction } = received;
    if (status < 200) {
      if (reliability === 'unreliable' || !dialog) return;
      // RFC 3262 section 3: without a PRACK in 64*T1 the INVITE is refused.
      const giveUp = () => this.#refuse(transaction, 500);
      received.expectPrack(this.#stack, dialog, text, reliability === 'own', giveUp);
      return;
    }
    received.settle();
    dropBranches(this.#stack, received);
    if (!dialog) return;
    dialog.inviteIn = undefined;
    if (status < 300) this.#expectAck(received, dialog, text);
    else if (!transaction.request.to.params.has('tag')) this.#stack.dialogs.remove(dialog);
  }

  #expectAck({ transaction }: Received, dialog: Dialog, text: string): void {
    repeatUntilAck(this.#stack, transaction, dialog, text, () => {
      const held = dialog.heldBye;
      dialog.heldBye = undefined;
      if (held) held();
      else this.#options.bye(dialog, 'ACK timeout', true);
    });
  }

  #late(transaction: ServerTransaction): void {
    if (!transaction.final) this.#refuse(transaction, 500);
  }

  #over(transaction: ServerTransaction): void {
    this.#received.get(transaction.id)?.settle();
    this.#received.delete(transaction.id);
    if (transaction.mergeKey !== undefined) this.#merging.delete(transaction.mergeKey);
  }

  /** Nobody may answer it any more: what is left is the transaction, which meets repeats. */
  #forget(transaction: ServerTransaction): void {
    this.#received.get(transaction.id)?.settle();
    this.#received.delete(transaction.id);
    transaction.letGo();
  }

  /** A final response of the server's own; what hangs on the request ends. */
  #refuse(transaction: ServerTransaction, status: keyof typeof refusals, ...headers: Header[]): void {
    if (transaction.final) return;
    const { method, to } = transaction.request;
    const received = this.#received.get(transaction.id);
    respondIn(transaction, status, refusals[status], headers);
    const dialog = received?.dialog;
    if (received?.offered === true) dialog?.offers.concluded('theirs');
    if (received) dropBranches(this.#stack, received);
    this.#forget(transaction);
    if (!dialog) return;
    if (method === 'INVITE') dialog.inviteIn = undefined;
    if (method === 'UPDATE') dialog.updateIn = false;
    if (method === 'BYE' || (method === 'INVITE' && !to.params.has('tag')))
      this.#stack.dialogs.remove(dialog);
  }
}
