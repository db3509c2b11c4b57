/**
 * A telephone that speaks plain SIP over UDP (RFC 3261): it calls, is called, hangs up, cancels. The demo's carrier and PBX
 * are made of it. It has no code in common with Tacet's edge, so that the demo shows two sides that never met.
 */
import { randomBytes } from 'node:crypto';
import {
  branchOf,
  headerOf,
  headersOf,
  sequenceOf,
  tagOf,
  uriOf,
  userOf,
  type SipRequest,
  type SipResponse,
} from './sip-message.ts';
import { SipTransactions, type Address, type Respond } from './sip-transactions.ts';

export type { Address } from './sip-transactions.ts';

export interface UserAgentOptions {
  /** 127.0.0.1 and any free port by default. */
  address?: string;
  port?: number;
  /** Calls to this telephone; without it they are answered with 486. */
  onCall?: (call: IncomingCall) => void;
}

/** Who ended an established call. */
export type HungUpBy = 'us' | 'them';

/** The final answer to a call: 200 with the far end's SDP, or why not. */
export interface FinalAnswer {
  status: number;
  reason: string;
  sdp: string;
}

const newTag = (): string => randomBytes(6).toString('hex');

export class UserAgent implements AsyncDisposable {
  readonly #transactions: SipTransactions;
  readonly #dialogs = new Map<string, Dialog>();
  readonly #ringing = new Map<string, IncomingCall>();

  private constructor(transactions: SipTransactions) {
    this.#transactions = transactions;
  }

  static async open(options: UserAgentOptions = {}): Promise<UserAgent> {
    const opened: { agent?: UserAgent } = {};
    const transactions = await SipTransactions.open(
      { address: options.address ?? '127.0.0.1', port: options.port ?? 0 },
      (request, _from, respond) => {
        if (opened.agent !== undefined) opened.agent.#receive(request, respond, options.onCall);
      },
    );
    opened.agent = new UserAgent(transactions);
    return opened.agent;
  }

  get address(): string {
    return this.#transactions.address;
  }

  get port(): number {
    return this.#transactions.port;
  }

  /** Calls `called` at `target`. Ringing and the final answer are told by the call. */
  call(options: { target: Address; called: string; caller: string; offer: string }): OutgoingCall {
    return new OutgoingCall(this.#transactions, this.#dialogs, options);
  }

  /** Frees the socket. Calls still up are left as they are: hang up first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transactions[Symbol.asyncDispose]();
  }

  #receive(
    request: SipRequest,
    respond: Respond,
    onCall: ((call: IncomingCall) => void) | undefined,
  ): void {
    const callId = headerOf(request, 'call-id');
    const ourTag = tagOf(headerOf(request, 'to'));
    if (ourTag !== undefined) {
      const dialog = this.#dialogs.get(`${callId} ${ourTag}`);
      if (dialog === undefined) respond(481, 'Call/Transaction Does Not Exist');
      else dialog.receive(request, respond);
      return;
    }
    switch (request.method) {
      case 'INVITE': {
        if (onCall === undefined) {
          respond(486, 'Busy Here', { toTag: newTag() });
          return;
        }
        const call = new IncomingCall(this.#transactions, this.#dialogs, request, respond);
        this.#ringing.set(branchOf(request), call);
        void call.decided.then(() => this.#ringing.delete(branchOf(request)));
        onCall(call);
        return;
      }
      case 'CANCEL': {
        const call = this.#ringing.get(branchOf(request));
        if (call === undefined) {
          respond(481, 'Call/Transaction Does Not Exist');
          return;
        }
        respond(200, 'OK');
        call.cancelled();
        return;
      }
      case 'OPTIONS':
        respond(200, 'OK', { headers: [['Allow', 'INVITE, ACK, CANCEL, BYE, OPTIONS, INFO']] });
        return;
      default:
        respond(405, 'Method Not Allowed', { headers: [['Allow', 'INVITE, ACK, CANCEL, BYE, OPTIONS']] });
    }
  }
}

/** The peer-to-peer relation after an answer, RFC 3261 section 12. */
class Dialog {
  readonly ended: Promise<HungUpBy>;
  readonly #transactions: SipTransactions;
  readonly #dialogs: Map<string, Dialog>;
  readonly #ids: DialogIds;
  #sequence: number;
  #sdp: string;
  #onOffer: (offer: string) => string;
  #end!: (by: HungUpBy) => void;

  constructor(transactions: SipTransactions, dialogs: Map<string, Dialog>, ids: DialogIds, ourSdp: string) {
    this.#transactions = transactions;
    this.#dialogs = dialogs;
    this.#ids = ids;
    this.#sequence = ids.sequence;
    this.#sdp = ourSdp;
    this.#onOffer = () => this.#sdp;
    this.ended = new Promise((resolve) => {
      this.#end = (by) => {
        dialogs.delete(`${ids.callId} ${ids.localTag}`);
        resolve(by);
      };
    });
    dialogs.set(`${ids.callId} ${ids.localTag}`, this);
  }

  /** What to answer when the far end offers anew (re-INVITE); by default what we said before. */
  onOffer(answer: (offer: string) => string): void {
    this.#onOffer = answer;
  }

  receive(request: SipRequest, respond: Respond): void {
    switch (request.method) {
      case 'BYE':
        respond(200, 'OK');
        this.#end('them');
        return;
      case 'INVITE':
      case 'UPDATE':
        if (request.body !== '') this.#sdp = this.#onOffer(request.body);
        respond(200, 'OK', {
          headers: [
            ['Contact', contactOf(this.#transactions)],
            ['Content-Type', 'application/sdp'],
          ],
          body: this.#sdp,
        });
        return;
      case 'CANCEL':
        respond(481, 'Call/Transaction Does Not Exist');
        return;
      default:
        respond(200, 'OK');
    }
  }

  acknowledge(inviteBranch: string): void {
    const ack = this.#request('ACK', this.#ids.sequence);
    this.#transactions.acknowledge(inviteBranch, ack, this.#nextHop());
  }

  /** Hangs up; resolves when the far end has confirmed. A call that the far end ended meanwhile needs no more. */
  async bye(): Promise<void> {
    if (!this.#dialogs.has(`${this.#ids.callId} ${this.#ids.localTag}`)) return;
    this.#end('us');
    this.#sequence += 1;
    await this.#transactions.request(this.#request('BYE', this.#sequence), this.#nextHop());
  }

  #request(method: string, sequence: number): SipRequest {
    return {
      method,
      uri: this.#ids.remoteTarget,
      headers: [
        this.#transactions.via(),
        ['Max-Forwards', '70'],
        ...this.#ids.routes.map((route): [string, string] => ['Route', route]),
        ['From', this.#ids.local],
        ['To', this.#ids.remote],
        ['Call-ID', this.#ids.callId],
        ['CSeq', `${sequence} ${method}`],
      ],
      body: '',
    };
  }

  /** Loose routing: to the first route if there is one, else to the far end's Contact (RFC 3261 section 12.2.1.1). */
  #nextHop(): Address {
    return addressOf(uriOf(this.#ids.routes[0] ?? this.#ids.remoteTarget));
  }
}

interface DialogIds {
  callId: string;
  localTag: string;
  local: string;
  remote: string;
  remoteTarget: string;
  routes: string[];
  sequence: number;
}

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

  /** Hears early media, and answers re-INVITEs with what `answer` makes of the new offer. */
  onEarlyMedia(listener: (sdp: string) => void): void {
    this.#onEarlyMedia = listener;
  }

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

const contactOf = (transactions: SipTransactions): string =>
  `<sip:demo@${transactions.address}:${transactions.port}>`;

const addressOf = (uri: string): Address => {
  const [, host = '127.0.0.1', port] = /^sips?:(?:[^@]*@)?([^:;>?]+)(?::(\d+))?/iu.exec(uri) ?? [];
  return { address: host, port: Number(port ?? 5060) };
};

const routesOf = (message: SipRequest | SipResponse): string[] =>
  headersOf(message, 'record-route').flatMap((value) => value.split(/,(?=\s*<)/u).map((route) => route.trim()));

const idsOfCaller = (invite: SipRequest, response: SipResponse): Omit<DialogIds, 'localTag'> => ({
  callId: headerOf(invite, 'call-id'),
  local: headerOf(invite, 'from'),
  remote: headerOf(response, 'to'),
  remoteTarget: uriOf(headerOf(response, 'contact')) || invite.uri,
  routes: routesOf(response).reverse(),
  sequence: sequenceOf(invite).number,
});

const idsOfCalled = (invite: SipRequest, localTag: string): DialogIds => ({
  callId: headerOf(invite, 'call-id'),
  localTag,
  local: `${headerOf(invite, 'to')};tag=${localTag}`,
  remote: headerOf(invite, 'from'),
  remoteTarget: uriOf(headerOf(invite, 'contact')),
  routes: routesOf(invite),
  sequence: 0,
});
