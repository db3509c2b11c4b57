import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import {
  branchOf,
  formatMessage,
  headerOf,
  headersOf,
  parseMessage,
  sequenceOf,
  type SipRequest,
  type SipResponse,
} from './sip-message.ts';

export interface Address {
  address: string;
  port: number;
}

/** Gives the answer to a request; may be called several times (provisional, then final). */
export type Respond = (
  status: number,
  reason: string,
  more?: { headers?: [string, string][]; body?: string; toTag?: string },
) => void;

/** RFC 3261 section 17.1.1.1: T1, the round-trip estimate; T2, the longest interval; 64*T1, when one gives up. */
const usualT1Ms = 500;
const t2Ms = 4_000;

const noAnswer: SipResponse = { status: 408, reason: 'Request Timeout', headers: [], body: '' };

interface Waiting {
  resolve: (response: SipResponse) => void;
  provisional: (response: SipResponse) => void;
  retransmission: Disposable;
  invite: SipRequest | undefined;
  to: Address;
}

/** One UDP socket and the SIP transactions on it: what is lost is sent again, what comes twice is answered twice. */
export class SipTransactions implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly #socket: Socket;
  readonly #t1Ms: number;
  readonly #onRequest: (request: SipRequest, from: Address, respond: Respond) => void;
  /** Our requests without a final response, by branch and method. */
  readonly #waiting = new Map<string, Waiting>();
  /** The ACK that each of our answered INVITEs got, for a final response that comes again. */
  readonly #acknowledged: Memory<{ text: string; to: Address }>;
  /** The last response to each request that we were sent. */
  readonly #served: Memory<{ text: string | undefined }>;
  /** Final responses to an INVITE that we repeat until the ACK comes, by Call-ID and CSeq. */
  readonly #unacknowledged = new Map<string, Disposable>();
  #closed = false;

  private constructor(
    socket: Socket,
    onRequest: (request: SipRequest, from: Address, respond: Respond) => void,
    t1Ms: number,
  ) {
    this.#socket = socket;
    this.#t1Ms = t1Ms;
    this.#acknowledged = new Memory(64 * t1Ms);
    this.#served = new Memory(64 * t1Ms);
    this.#onRequest = onRequest;
    ({ address: this.address, port: this.port } = socket.address());
    socket.on('message', (datagram, from) => this.#receive(datagram.toString('utf8'), from));
    // The far end's socket may be gone (ICMP): retransmission and its end deal with that.
    socket.on('error', () => undefined);
  }

  static async open(
    local: Address,
    onRequest: (request: SipRequest, from: Address, respond: Respond) => void,
    t1Ms = usualT1Ms,
  ): Promise<SipTransactions> {
    const socket = createSocket('udp4');
    socket.bind(local.port, local.address);
    await once(socket, 'listening');
    return new SipTransactions(socket, onRequest, t1Ms);
  }

  /** The Via of a new transaction. */
  via(): [string, string] {
    const branch = `z9hG4bK${randomBytes(9).toString('hex')}`;
    return ['Via', `SIP/2.0/UDP ${this.address}:${this.port};branch=${branch};rport`];
  }

  /**
   * Sends a request until it is answered. A failed INVITE is acknowledged here (RFC 3261 section 17.1.1.3), a 2xx by
   * the caller, with `acknowledge`. Silence for 64*T1, or an end of ours, is a 408.
   */
  request(
    request: SipRequest,
    to: Address,
    provisional: (response: SipResponse) => void = () => undefined,
  ): Promise<SipResponse> {
    const key = `${branchOf(request)} ${request.method}`;
    const text = formatMessage(request);
    const isInvite = request.method === 'INVITE';
    return new Promise((resolve) => {
      const retransmission = this.#sendUntilDisposed(text, to, isInvite ? Infinity : t2Ms, () => {
        this.#waiting.delete(key);
        resolve(noAnswer);
      });
      this.#waiting.set(key, {
        resolve,
        provisional,
        retransmission,
        invite: isInvite ? request : undefined,
        to,
      });
    });
  }

  /** After a CANCEL one does not wait for ever: 64*T1, then the INVITE counts as unanswered (RFC 3261 section 9.1). */
  expectEnd(invite: SipRequest): void {
    const key = `${branchOf(invite)} INVITE`;
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    const timer = setTimeout(() => {
      this.#waiting.delete(key);
      waiting.resolve(noAnswer);
    }, 64 * this.#t1Ms);
    waiting.retransmission = { [Symbol.dispose]: () => clearTimeout(timer) };
  }

  /** Sends the ACK to a 2xx, now and whenever the 2xx comes again (RFC 3261 section 13.2.2.4). */
  acknowledge(inviteBranch: string, ack: SipRequest, to: Address): void {
    const text = formatMessage(ack);
    this.#acknowledged.set(`${inviteBranch} INVITE`, { text, to });
    this.#send(text, to);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const { retransmission, resolve } of this.#waiting.values()) {
      retransmission[Symbol.dispose]();
      resolve(noAnswer);
    }
    for (const retransmission of this.#unacknowledged.values()) retransmission[Symbol.dispose]();
    this.#waiting.clear();
    this.#unacknowledged.clear();
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  #receive(text: string, from: Address): void {
    const message = parseMessage(text);
    if (message === undefined) return;
    if ('status' in message) this.#receiveResponse(message);
    else this.#receiveRequest(message, from);
  }

  #receiveResponse(response: SipResponse): void {
    const key = `${branchOf(response)} ${sequenceOf(response).method}`;
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) {
      const again = this.#acknowledged.get(key);
      if (again !== undefined && response.status >= 200) this.#send(again.text, again.to);
      return;
    }
    if (response.status < 200) {
      // A provisional response ends the repeating of an INVITE, not of other requests (RFC 3261 section 17.1).
      if (waiting.invite !== undefined) waiting.retransmission[Symbol.dispose]();
      waiting.provisional(response);
      return;
    }
    this.#waiting.delete(key);
    waiting.retransmission[Symbol.dispose]();
    if (waiting.invite !== undefined && response.status >= 300) {
      const text = formatMessage(ackOfFailure(waiting.invite, response));
      this.#acknowledged.set(key, { text, to: waiting.to });
      this.#send(text, waiting.to);
    }
    waiting.resolve(response);
  }

  #receiveRequest(request: SipRequest, from: Address): void {
    const sequence = sequenceOf(request);
    const inviteKey = `${headerOf(request, 'call-id')} ${sequence.number}`;
    if (request.method === 'ACK') {
      this.#unacknowledged.get(inviteKey)?.[Symbol.dispose]();
      this.#unacknowledged.delete(inviteKey);
      return;
    }
    const key = `${branchOf(request)} ${request.method}`;
    const served = this.#served.get(key);
    if (served !== undefined) {
      if (served.text !== undefined) this.#send(served.text, from);
      return;
    }
    this.#served.set(key, { text: undefined });
    this.#onRequest(request, from, (status, reason, more = {}) => {
      const text = formatMessage(responseTo(request, status, reason, more));
      this.#served.set(key, { text });
      if (request.method === 'INVITE' && status >= 200) {
        const repeating = this.#sendUntilDisposed(text, from, t2Ms, () =>
          this.#unacknowledged.delete(inviteKey),
        );
        this.#unacknowledged.set(inviteKey, repeating);
      } else {
        this.#send(text, from);
      }
    });
  }

  #sendUntilDisposed(text: string, to: Address, longestMs: number, gaveUp: () => void): Disposable {
    if (this.#closed) return { [Symbol.dispose]: () => undefined };
    let intervalMs = this.#t1Ms;
    let waitedMs = 0;
    const again = (): void => {
      waitedMs += intervalMs;
      if (waitedMs >= 64 * this.#t1Ms) {
        gaveUp();
        return;
      }
      this.#send(text, to);
      intervalMs = Math.min(intervalMs * 2, longestMs);
      timer = setTimeout(again, intervalMs);
    };
    let timer = setTimeout(again, intervalMs);
    this.#send(text, to);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }

  #send(text: string, to: Address): void {
    if (this.#closed) return;
    this.#socket.send(text, to.port, to.address, () => undefined);
  }
}

function responseTo(
  request: SipRequest,
  status: number,
  reason: string,
  more: { headers?: [string, string][]; body?: string; toTag?: string },
): SipResponse {
  const to = headerOf(request, 'to');
  return {
    status,
    reason,
    headers: [
      ...headersOf(request, 'via').map((value): [string, string] => ['Via', value]),
      ...headersOf(request, 'record-route').map((value): [string, string] => ['Record-Route', value]),
      ['From', headerOf(request, 'from')],
      ['To', more.toTag === undefined || to.includes(';tag=') ? to : `${to};tag=${more.toTag}`],
      ['Call-ID', headerOf(request, 'call-id')],
      ['CSeq', headerOf(request, 'cseq')],
      ...(more.headers ?? []),
    ],
    body: more.body ?? '',
  };
}

function ackOfFailure(invite: SipRequest, response: SipResponse): SipRequest {
  const kept = invite.headers.filter(([name]) =>
    ['Via', 'Route', 'From', 'Call-ID', 'Max-Forwards'].includes(name),
  );
  return {
    method: 'ACK',
    uri: invite.uri,
    headers: [...kept, ['To', headerOf(response, 'to')], ['CSeq', `${sequenceOf(invite).number} ACK`]],
    body: '',
  };
}

/** Values by key, forgotten once nobody can ask for them any more: a transaction is over after 64*T1. */
class Memory<Value> {
  readonly #entries = new Map<string, { value: Value; at: number }>();
  readonly #keptMs: number;

  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  set(key: string, value: Value): void {
    const now = performance.now();
    this.#entries.delete(key);
    this.#entries.set(key, { value, at: now });
    for (const [old, { at }] of this.#entries) {
      if (now - at <= this.#keptMs) break;
      this.#entries.delete(old);
    }
  }
}
