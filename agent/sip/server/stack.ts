/** What all parts of the SIP server share: clock, listeners, transactions, dialogs, counts. */
import { randomUUID } from 'node:crypto';
import { giveUpMs } from './clock.ts';
import type { Alarm, BaseTimers, Clock } from './clock.ts';
import { DialogTable } from './dialog.ts';
import type { SipRequest, SipResponse } from './message.ts';
import { shortestSeconds } from './session-timer.ts';
import type { SessionWish } from './session-timer.ts';
import { ClientTransaction, ServerTransaction } from './transaction/transaction.ts';
import type { ClientUser, ServerUser, Surroundings } from './transaction/transaction.ts';
import type { Address, Listener } from './transport.ts';

export interface Counted {
  received: number;
  retransmissions: number;
  /** Datagrams that got no answer, by reason. */
  dropped: Record<DropReason, number>;
  /** Messages that could not be read, answered with 400 or not. */
  malformed: number;
}

export type DropReason = 'unknown source' | 'keep-alive' | 'malformed' | 'stray response' | 'stray ACK';

export class Stack implements Surroundings {
  readonly clock: Clock;
  readonly timers: BaseTimers;
  readonly listeners: Listener[] = [];
  readonly dialogs = new DialogTable();
  /** What we ask of peers about session timers (RFC 4028). */
  readonly session: SessionWish;
  readonly alarms = { set: 0 };
  readonly counted: Counted = {
    received: 0,
    retransmissions: 0,
    dropped: { 'unknown source': 0, 'keep-alive': 0, malformed: 0, 'stray response': 0, 'stray ACK': 0 },
    malformed: 0,
  };
  readonly #servers = new Map<string, ServerTransaction>();
  readonly #clients = new Map<string, ClientTransaction>();

  constructor(clock: Clock, timers: BaseTimers, session: Partial<SessionWish> = {}) {
    this.session = { expiresSeconds: undefined, minimumSeconds: shortestSeconds, ...session };
    this.clock = clock;
    this.timers = timers;
  }

  get transactions(): number {
    return this.#servers.size + this.#clients.size;
  }

  get giveUpMs(): number {
    return giveUpMs(this.timers);
  }

  /** An alarm that `statistics()` counts while it is set. */
  after(delayMs: number, ring: () => void): Alarm {
    let set = true;
    this.alarms.set += 1;
    const unset = () => {
      if (set) this.alarms.set -= 1;
      set = false;
    };
    const alarm = this.clock.after(delayMs, () => {
      unset();
      ring();
    });
    return {
      cancel() {
        alarm.cancel();
        unset();
      },
    };
  }

  /** The server transaction that a request belongs to: RFC 3261 section 17.2.3. */
  serverFor(request: SipRequest, method = request.method): ServerTransaction | undefined {
    return this.#servers.get(serverKey(request, method));
  }

  openServer(
    received: { request: SipRequest; source: Address; listener: Listener },
    localTag: string,
    user: ServerUser,
  ): ServerTransaction {
    const key = serverKey(received.request, received.request.method);
    const transaction = new ServerTransaction(
      { id: randomUUID(), localTag },
      received,
      {
        onTimeout: (late) => user.onTimeout(late),
        onEnded: (over) => {
          this.#servers.delete(key);
          user.onEnded(over);
        },
      },
      this,
    );
    this.#servers.set(key, transaction);
    return transaction;
  }

  /** Creates the transaction without sending: the echo to the application may have to go first. */
  openClient(
    identity: { id: string; branch: string; method: string },
    outgoing: {
      text: string;
      target: Address;
      listener: Listener;
      ackFor: (response: SipResponse) => string;
    },
    user: ClientUser,
  ): ClientTransaction {
    const key = `${identity.branch}|${identity.method}`;
    const transaction = new ClientTransaction(identity, outgoing, user, this, () =>
      this.#clients.delete(key),
    );
    this.#clients.set(key, transaction);
    return transaction;
  }

  /** A request of our own of which nobody waits to hear: it is repeated until answered or given up. */
  sendUnheard(method: string, branch: string, text: string, target: Address, listener: Listener): void {
    const nobody = { onResponse: () => undefined, onNoResponse: () => undefined, onEnded: () => undefined };
    this.openClient(
      { id: randomUUID(), branch, method },
      { text, target, listener, ackFor: () => '' },
      nobody,
    ).machine.handle('start');
  }

  clientBy(branch: string, method: string): ClientTransaction | undefined {
    return this.#clients.get(`${branch}|${method}`);
  }

  clientFor(response: SipResponse): ClientTransaction | undefined {
    return this.clientBy(response.via.params.get('branch') ?? '', response.method);
  }

  /** The listener to send to this address from: the same family, loopback to loopback. */
  listenerTo(to: Address): Listener | undefined {
    const family = to.address.includes(':') ? 6 : 4;
    const fitting = this.listeners.filter((listener) => listener.family === family);
    return fitting.find((listener) => isLoopback(listener.address) === isLoopback(to.address)) ?? fitting[0];
  }

  isOwn({ transport, address, port }: Address): boolean {
    return this.listeners.some(
      (own) =>
        own.transport === transport && own.port === port && (own.address === address || own.host === address),
    );
  }

  /** Forgets everything, sends nothing. */
  clear(): void {
    for (const transaction of [...this.#servers.values()]) transaction.machine.drop();
    for (const transaction of [...this.#clients.values()]) transaction.drop();
    for (const dialog of this.dialogs.all()) this.dialogs.remove(dialog);
  }
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

function serverKey(request: SipRequest, method: string): string {
  const { via } = request;
  const branch = via.params.get('branch');
  if (branch?.startsWith('z9hG4bK')) return `${branch}|${via.host}|${via.port ?? ''}|${method}`;
  // RFC 2543 peers: no branch to go by.
  const fromTag = request.from.params.get('tag') ?? '';
  return `${request.callId}|${request.cseq}|${fromTag}|${via.host}|${via.port ?? ''}|${method}`;
}

/** A branch of ours: the magic cookie and enough randomness that nobody guesses it. */
export function newBranch(): string {
  return `z9hG4bK${randomUUID().replaceAll('-', '')}`;
}

export function newTag(): string {
  return randomUUID().replaceAll('-', '').slice(0, 16);
}
