/**
 * A telephone that speaks plain SIP over UDP (RFC 3261): it calls, is called, hangs up, cancels. The demo's carrier and PBX
 * are made of it. It has no code in common with Tacet's edge, so that the demo shows two sides that never met.
 */
import { branchOf, headerOf, tagOf, type SipRequest } from './sip-message.ts';
import { SipTransactions, type Address, type Respond } from './sip-transactions.ts';
import type { Dialog } from './dialog.ts';
import { IncomingCall, newTag, OutgoingCall } from './telephone-call.ts';

export interface UserAgentOptions {
  /** 127.0.0.1 and any free port by default. */
  address?: string;
  port?: number;
  /** Calls to this telephone; without it they are answered with 486. */
  onCall?: (call: IncomingCall) => void;
  /** T1 of RFC 3261, 500 ms by default: repeats begin after it, patience ends after 64 of it. */
  t1Ms?: number;
}

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
      options.t1Ms,
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

