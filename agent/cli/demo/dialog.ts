import {
  headerOf,
  headersOf,
  sequenceOf,
  uriOf,
  type SipRequest,
  type SipResponse,
} from './sip-message.ts';
import type { Address, Respond, SipTransactions } from './sip-transactions.ts';

/** Who ended an established call. */
export type HungUpBy = 'us' | 'them';

/** The peer-to-peer relation after an answer, RFC 3261 section 12. */
export class Dialog {
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

export interface DialogIds {
  callId: string;
  localTag: string;
  local: string;
  remote: string;
  remoteTarget: string;
  routes: string[];
  sequence: number;
}

/** Where requests within our dialogs come to. */
export const contactOf = (transactions: SipTransactions): string =>
  `<sip:demo@${transactions.address}:${transactions.port}>`;

const addressOf = (uri: string): Address => {
  const [, host = '127.0.0.1', port] = /^sips?:(?:[^@]*@)?([^:;>?]+)(?::(\d+))?/iu.exec(uri) ?? [];
  return { address: host, port: Number(port ?? 5060) };
};

const routesOf = (message: SipRequest | SipResponse): string[] =>
  headersOf(message, 'record-route').flatMap((value) => value.split(/,(?=\s*<)/u).map((route) => route.trim()));

export const idsOfCaller = (invite: SipRequest, response: SipResponse): Omit<DialogIds, 'localTag'> => ({
  callId: headerOf(invite, 'call-id'),
  local: headerOf(invite, 'from'),
  remote: headerOf(response, 'to'),
  remoteTarget: uriOf(headerOf(response, 'contact')) || invite.uri,
  routes: routesOf(response).reverse(),
  sequence: sequenceOf(invite).number,
});

export const idsOfCalled = (invite: SipRequest, localTag: string): DialogIds => ({
  callId: headerOf(invite, 'call-id'),
  localTag,
  local: `${headerOf(invite, 'to')};tag=${localTag}`,
  remote: headerOf(invite, 'from'),
  remoteTarget: uriOf(headerOf(invite, 'contact')),
  routes: routesOf(invite),
  sequence: 0,
});
