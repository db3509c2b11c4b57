import { randomBytes } from 'node:crypto';
import { contactOf, Dialog, idsOfCalled, idsOfCaller, type HungUpBy } from './dialog.ts';
import { branchOf, headerOf, uriOf, userOf, type SipRequest } from './sip-message.ts';
import type { Address, Respond, SipTransactions } from './sip-transactions.ts';

/** The final answer to a call: 200 with the far end's SDP, or why not. */
export interface FinalAnswer {
  status: number;
  reason: string;
  sdp: string;
}

/** A tag that nobody else has (RFC 3261 section 19.3). */
export const newTag = (): string => randomBytes(6).toString('hex');

/** A call that we place: it begins at once. */
export class OutgoingCall {
  readonly callId = `${randomBytes(12).toString('hex')}@demo`;
  /** The final answer. Early media (183) is told to `onEarlyMedia` before. */
  readonly answer: Promise<FinalAnswer>;
  readonly #transactions: SipTransactions;
  readonly #invite: SipRequest;
  readonly #target: Address;
  #dialog: Dialog | undefined;
  #final = false;
  #givenUp = false;
  #provisional = Promise.withResolvers<undefined>();
  #onEarlyMedia: (sdp: string) => void = () => undefined;

  constructor(
    transactions: SipTransactions,
    dialogs: Map<string, Dialog>,
    options: { target: Address; called: string; caller: string; offer: string },
  ) {
    this.#transactions = transactions;
    this.#target = options.target;
    const tag = newTag();
    const host = `${options.target.address}:${options.target.port}`;
    this.#invite = {
      method: 'INVITE',
      uri: `sip:${options.called}@${host}`,
      headers: [
        transactions.via(),
        ['Max-Forwards', '70'],
        ['From', `<sip:${options.caller}@${transactions.address}:${transactions.port}>;tag=${tag}`],
        ['To', `<sip:${options.called}@${host}>`],
        ['Call-ID', this.callId],
        ['CSeq', '1 INVITE'],
        ['Contact', contactOf(transactions)],
        ['Content-Type', 'application/sdp'],
      ],
      body: options.offer,
    };
    this.answer = this.#place(dialogs, tag);
  }

  /** Who ended the call; only of an answered call. */
  get ended(): Promise<HungUpBy> {
    return this.#dialog?.ended ?? this.answer.then(() => this.#dialog?.ended ?? 'them');
  }

  /** Called with the SDP of a provisional answer: sound comes before somebody picks up. */
  onEarlyMedia(listener: (sdp: string) => void): void {
    this.#onEarlyMedia = listener;
  }

  /** What to answer when the far end offers anew; of an answered call. By default what we said before. */
  onOffer(answer: (offer: string) => string): void {
    this.#dialog?.onOffer(answer);
  }

  /**
   * Puts the receiver down: CANCEL before the answer (and not before a first response, RFC 3261 section 9.1), BYE after it.
   * An answer that crosses the CANCEL is acknowledged and hung up at once.
   */
  async hangUp(): Promise<void> {
    if (this.#final) {
      await this.#dialog?.bye();
      return;
    }
    this.#givenUp = true;
    await Promise.race([this.#provisional.promise, this.answer]);
    if (!this.#isFinal()) {
      const kept = this.#invite.headers.filter(([name]) =>
        ['Via', 'Max-Forwards', 'From', 'To', 'Call-ID'].includes(name),
      );
      const cancel = {
        method: 'CANCEL',
        uri: this.#invite.uri,
        headers: [...kept, ['CSeq', '1 CANCEL'] as const],
        body: '',
      };
      await this.#transactions.request(cancel, this.#target);
      this.#transactions.expectEnd(this.#invite);
    }
    await this.answer;
    await this.#dialog?.bye();
  }

  #isFinal(): boolean {
    return this.#final;
  }

  async #place(dialogs: Map<string, Dialog>, localTag: string): Promise<FinalAnswer> {
    const response = await this.#transactions.request(this.#invite, this.#target, (provisional) => {
      this.#provisional.resolve(undefined);
      if (provisional.status > 100 && provisional.body !== '' && !this.#givenUp) {
        this.#onEarlyMedia(provisional.body);
      }
    });
    this.#final = true;
    if (response.status < 300) {
      this.#dialog = new Dialog(
        this.#transactions,
        dialogs,
        { ...idsOfCaller(this.#invite, response), localTag },
        this.#invite.body,
      );
      this.#dialog.acknowledge(branchOf(this.#invite));
    }
    return { status: response.status, reason: response.reason, sdp: response.body };
  }
}

/** A call that comes in: it rings, and is picked up, refused, or given up by the caller. */
export class IncomingCall {
  readonly callId: string;
  readonly called: string;
  readonly caller: string;
  readonly offer: string;
  /** Resolves when the call was answered, refused or cancelled. */
  readonly decided: Promise<'answered' | 'refused' | 'cancelled'>;
  readonly #transactions: SipTransactions;
  readonly #dialogs: Map<string, Dialog>;
  readonly #invite: SipRequest;
  readonly #respond: Respond;
  readonly #tag = newTag();
  #decide!: (decision: 'answered' | 'refused' | 'cancelled') => void;
  #open = true;
  #dialog: Dialog | undefined;

  constructor(
    transactions: SipTransactions,
    dialogs: Map<string, Dialog>,
    invite: SipRequest,
    respond: Respond,
  ) {
    this.#transactions = transactions;
    this.#dialogs = dialogs;
    this.#invite = invite;
    this.#respond = respond;
    this.callId = headerOf(invite, 'call-id');
    this.called = userOf(invite.uri);
    this.caller = userOf(uriOf(headerOf(invite, 'from')));
    this.offer = invite.body;
    this.decided = new Promise((resolve) => {
      this.#decide = (decision) => {
        this.#open = false;
        resolve(decision);
      };
    });
    respond(100, 'Trying');
  }

  ring(): void {
    if (this.#open) {
      this.#respond(180, 'Ringing', { toTag: this.#tag, headers: [['Contact', contactOf(this.#transactions)]] });
    }
  }

  refuse(status: number, reason: string): void {
    if (!this.#open) return;
    this.#decide('refused');
    this.#respond(status, reason, { toTag: this.#tag });
  }

  /** Answers, unless the caller gave up first: then it returns undefined. Resolves with who ended the call. */
  pickUp(
    sdp: string,
    onOffer: (offer: string) => string = () => sdp,
  ): { ended: Promise<HungUpBy> } | undefined {
    if (!this.#open) return undefined;
    this.#decide('answered');
    this.#dialog = new Dialog(
      this.#transactions,
      this.#dialogs,
      idsOfCalled(this.#invite, this.#tag),
      sdp,
    );
    this.#dialog.onOffer(onOffer);
    this.#respond(200, 'OK', {
      toTag: this.#tag,
      headers: [
        ['Contact', contactOf(this.#transactions)],
        ['Content-Type', 'application/sdp'],
      ],
      body: sdp,
    });
    return { ended: this.#dialog.ended };
  }

  async hangUp(): Promise<void> {
    await this.#dialog?.bye();
  }

  /** The caller's CANCEL (RFC 3261 section 9.2). */
  cancelled(): void {
    if (!this.#open) return;
    this.#decide('cancelled');
    this.#respond(487, 'Request Terminated', { toTag: this.#tag });
  }
}

