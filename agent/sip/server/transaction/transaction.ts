/** A transaction runs one of the four tables with real messages and timers. */
import { giveUpMs } from '../clock.ts';
import type { Alarm, BaseTimers, Clock } from '../clock.ts';
import type { SipRequest, SipResponse } from '../message.ts';
import { defaultPort, isReliable } from '../transport.ts';
import type { Address, Destination, Listener, Probe } from '../transport.ts';
import { inviteClient } from './invite-client.ts';
import { inviteServer } from './invite-server.ts';
import { nonInviteClient } from './non-invite-client.ts';
import { nonInviteServer } from './non-invite-server.ts';
import type { Cell } from './machine.ts';

/** Where a transaction's messages go, and what it needs of its surroundings. */
export interface Surroundings {
  clock: Clock;
  timers: BaseTimers;
  /** Counts alarms that are set, for `statistics()`. */
  alarms: { set: number };
  counted: { retransmissions: number };
}

type AnyTable = Readonly<Record<string, Readonly<Partial<Record<string, Cell<string, string>>>>>>;

abstract class Transaction {
  state: string;
  readonly #table: AnyTable;
  /** Seldom more than two are set, and there are tens of thousands of transactions. */
  #alarms: { timer: string; alarm: Alarm }[] = [];
  readonly #around: Surroundings;
  /** Interval of the running retransmission timer (A, E or G). */
  #intervalMs: number;

  /** Of the transport: what arrives once and in order is not repeated, nor kept for repeats. */
  readonly #reliable: boolean;

  constructor(table: AnyTable, initial: string, around: Surroundings, reliable: boolean) {
    this.#table = table;
    this.state = initial;
    this.#around = around;
    this.#reliable = reliable;
    this.#intervalMs = around.timers.t1Ms;
  }

  /** Runs the cell of this event; false where the table has none. */
  protected run(event: string): boolean {
    const cell = this.#table[this.state]?.[event];
    if (!cell) return false;
    this.state = cell.next;
    if (event.startsWith('timer ')) this.#forget(event.slice('timer '.length));
    if (cell.next === 'terminated') this.#silence();
    for (const action of cell.actions) {
      // A send that fails at once has ended the transaction meanwhile.
      if (this.state !== cell.next) return true;
      if (action.startsWith('arm ')) this.#arm(action.slice('arm '.length));
      else if (action.startsWith('stop ')) this.#stop(action.slice('stop '.length));
      else this.act(action, event);
    }
    if (cell.next === 'terminated') this.ended();
    return true;
  }

  /** Sends no more repeats; an answer to what was sent may still come. */
  quieten(): void {
    for (const timer of ['A', 'E', 'G']) this.#stop(timer);
  }

  /** Ends at once, whatever the state, telling nobody. */
  drop(): void {
    if (this.state === 'terminated') return;
    this.state = 'terminated';
    this.#silence();
    this.ended();
  }

  protected abstract act(action: string, event: string): void;
  protected abstract ended(): void;

  protected countRetransmission(): void {
    this.#around.counted.retransmissions += 1;
  }

  #arm(timer: string): void {
    const { clock, timers, alarms } = this.#around;
    const name = timer === 'E at T2' ? 'E' : timer;
    if (this.#reliable && (name === 'A' || name === 'E' || name === 'G')) return;
    const delayMs = this.#delayOf(timer, timers);
    this.#stop(name);
    alarms.set += 1;
    this.#alarms.push({ timer: name, alarm: clock.after(delayMs, () => this.run(`timer ${name}`)) });
  }

  #delayOf(timer: string, timers: BaseTimers): number {
    if (this.#reliable && ['D', 'I', 'J', 'K'].includes(timer)) return 0;
    switch (timer) {
      case 'A': {
        const delayMs = this.#intervalMs;
        this.#intervalMs *= 2;
        return delayMs;
      }
      case 'E':
      case 'G': {
        const delayMs = Math.min(this.#intervalMs, timers.t2Ms);
        this.#intervalMs *= 2;
        return delayMs;
      }
      case 'E at T2':
        return timers.t2Ms;
      case 'I':
      case 'K':
        return timers.t4Ms;
      default:
        return giveUpMs(timers);
    }
  }

  #stop(timer: string): void {
    this.#forget(timer)?.cancel();
  }

  #forget(timer: string): Alarm | undefined {
    const at = this.#alarms.findIndex((one) => one.timer === timer);
    if (at < 0) return undefined;
    this.#around.alarms.set -= 1;
    return this.#alarms.splice(at, 1)[0]?.alarm;
  }

  #silence(): void {
    this.#around.alarms.set -= this.#alarms.length;
    for (const { alarm } of this.#alarms) alarm.cancel();
    this.#alarms = [];
  }
}

/** A request, and where it came in. */
export interface Arrived {
  request: SipRequest;
  source: Address;
  listener: Listener;
}

export interface ServerUser {
  /** The ACK to a final response did not come (timer H), or the application did not answer (timer `answer`). */
  onTimeout(transaction: ServerTransaction): void;
  onEnded(transaction: ServerTransaction): void;
}

/** One request that came in, and the responses to it. */
export class ServerTransaction {
  readonly id: string;
  readonly method: string;
  readonly source: Address;
  /** Where responses go: RFC 3261 section 18.2.2, RFC 3581 section 4. */
  readonly responseAddress: Destination;
  readonly listener: Listener;
  readonly machine: ServerMachine;
  /** Our tag in To, for every response that carries one. */
  localTag: string;
  /** The last status sent; 0 before. */
  status = 0;
  /** Under which a second way of the same request to us is known (RFC 3261 section 8.2.2.2). */
  mergeKey: string | undefined;
  #request: SipRequest | undefined;

  constructor(
    identity: { id: string; localTag: string },
    received: Arrived,
    user: ServerUser,
    around: Surroundings,
  ) {
    this.id = identity.id;
    this.localTag = identity.localTag;
    this.#request = received.request;
    this.method = received.request.method;
    this.source = received.source;
    this.responseAddress = responseAddress(received.request, received.source);
    this.listener = received.listener;
    this.machine = new ServerMachine(this, user, around);
    this.machine.handle('start');
  }

  get final(): boolean {
    return this.status >= 200;
  }

  /** @throws Error once it is let go: nobody may want it after the final response */
  get request(): SipRequest {
    if (!this.#request) throw new Error('the request of a transaction that is answered is gone');
    return this.#request;
  }

  /**
   * Lets go what only composing responses needed. The transaction stays for 64*T1 to meet repeats of the request: at
   * 300 calls a second, whole requests would be a hundred megabytes.
   */
  letGo(): void {
    this.#request = undefined;
  }

  /** Sends a response; the text must be complete. False where the transaction no longer takes one. */
  respond(status: number, text: string): boolean {
    if (this.final) return false;
    this.status = status;
    this.machine.lastResponse = text;
    if (status < 200) return this.machine.handle('respond 1xx');
    if (this.method !== 'INVITE') return this.machine.handle('respond 200-699');
    if (status >= 300) return this.machine.handle('respond 300-699');
    const sent = this.machine.handle('respond 2xx');
    // The dialog repeats a 2xx, this does not.
    this.machine.lastResponse = undefined;
    return sent;
  }
}

function responseAddress({ via }: SipRequest, source: Address): Destination {
  const { transport } = source;
  const port = via.port ?? defaultPort(transport);
  if (transport === 'udp') return via.params.has('rport') ? source : { ...source, port };
  const sender = transport === 'tls' ? { serverName: via.host } : {};
  return { ...source, otherwise: { ...source, port, ...sender } };
}

class ServerMachine extends Transaction {
  lastResponse: string | undefined;
  readonly #owner: ServerTransaction;
  readonly #user: ServerUser;

  constructor(owner: ServerTransaction, user: ServerUser, around: Surroundings) {
    const invite = owner.method === 'INVITE';
    const reliable = isReliable(owner.source.transport);
    super(invite ? inviteServer : nonInviteServer, invite ? 'proceeding' : 'trying', around, reliable);
    this.#owner = owner;
    this.#user = user;
  }

  handle(event: string): boolean {
    return this.run(event);
  }

  protected act(action: string, event: string): void {
    const { listener, responseAddress } = this.#owner;
    if (action === 'send response') {
      if (this.lastResponse === undefined) return;
      if (!event.startsWith('respond')) this.countRetransmission();
      listener.send(this.lastResponse, responseAddress, () => this.run('transport error'));
    } else if (action === 'report timeout') this.#user.onTimeout(this.#owner);
  }

  protected ended(): void {
    this.#user.onEnded(this.#owner);
  }
}

/** Why a client transaction got no response: the made-up statuses of RFC 3261 section 8.1.3.1 and 9.1. */
export type NoResponse = { status: 408 | 487 | 503; reason: string };

export interface ClientUser {
  onResponse(response: SipResponse, source: Address): void;
  onNoResponse(why: NoResponse): void;
  onEnded(): void;
}

/** A request as one try of it goes out. */
export interface OutgoingRequest {
  text: string;
  uri: string;
  target: Address;
  listener: Listener;
  ackFor: (response: SipResponse) => string;
}

/** One request of ours, and the responses to it. */
export class ClientTransaction {
  readonly id: string;
  readonly method: string;
  readonly branch: string;
  /** Who was asked for. */
  readonly uri: string;
  readonly target: Address;
  readonly listener: Listener;
  readonly machine: ClientMachine;

  constructor(
    identity: { id: string; branch: string; method: string },
    outgoing: OutgoingRequest,
    user: ClientUser,
    around: Surroundings,
    ended: (transaction: ClientTransaction) => void,
  ) {
    this.id = identity.id;
    this.branch = identity.branch;
    this.method = identity.method;
    this.uri = outgoing.uri;
    this.target = outgoing.target;
    this.listener = outgoing.listener;
    this.machine = new ClientMachine(this, outgoing, user, around, ended);
  }

  get state(): string {
    return this.machine.state;
  }

  receive(response: SipResponse, source: Address): void {
    this.machine.receive(response, source);
  }

  drop(): void {
    this.machine.drop();
  }
}

class ClientMachine extends Transaction {
  readonly #owner: ClientTransaction;
  /** Gone with the final response, which is the end of repeats; so is `#ackFor`. */
  #text: string | undefined;
  #ackFor: ((response: SipResponse) => string) | undefined;
  readonly #user: ClientUser;
  readonly #ended: (transaction: ClientTransaction) => void;
  #response: { response: SipResponse; source: Address } | undefined;
  #ack: string | undefined;
  #probe: Probe | undefined;

  constructor(
    owner: ClientTransaction,
    outgoing: Pick<OutgoingRequest, 'text' | 'ackFor'>,
    user: ClientUser,
    around: Surroundings,
    ended: (transaction: ClientTransaction) => void,
  ) {
    const invite = owner.method === 'INVITE';
    const reliable = isReliable(owner.target.transport);
    super(invite ? inviteClient : nonInviteClient, invite ? 'calling' : 'trying', around, reliable);
    this.#owner = owner;
    this.#text = outgoing.text;
    this.#ackFor = outgoing.ackFor;
    this.#user = user;
    this.#ended = ended;
  }

  handle(event: string): boolean {
    return this.run(event);
  }

  receive(response: SipResponse, source: Address): void {
    this.#response = { response, source };
    this.#probe?.close();
    const { status } = response;
    if (status < 200) this.run('1xx');
    else if (this.#owner.method !== 'INVITE') this.run('200-699');
    else this.run(status < 300 ? '2xx' : '300-699');
    this.#response = undefined;
    if (status < 200) return;
    this.#text = undefined;
    this.#ackFor = undefined;
  }

  protected act(action: string, event: string): void {
    const { listener, target } = this.#owner;
    const text = this.#text;
    switch (action) {
      case 'send request':
        if (text === undefined) return;
        if (event !== 'start') this.countRetransmission();
        // Silence for T1: a peer that is not there says so by ICMP, 32 seconds earlier than timer B or F.
        if (event === 'start' || this.#probe) listener.send(text, target, () => this.run('transport error'));
        else this.#probe = listener.probe(text, target, () => this.run('transport error'));
        return;
      case 'send ACK':
        if (this.#response) this.#ack ??= this.#ackFor?.(this.#response.response);
        if (this.#ack !== undefined) listener.send(this.#ack, target);
        return;
      case 'deliver':
        if (this.#response) this.#user.onResponse(this.#response.response, this.#response.source);
        return;
      case 'report timeout': {
        this.#user.onNoResponse({ status: 408, reason: 'Request Timeout' });
        return;
      }
      case 'report cancelled': {
        this.#user.onNoResponse({ status: 487, reason: 'Request Terminated' });
        return;
      }
      case 'report unreachable': {
        this.#user.onNoResponse({ status: 503, reason: 'Service Unavailable' });
        return;
      }
    }
  }

  protected ended(): void {
    this.#probe?.close();
    this.#user.onEnded();
    this.#ended(this.#owner);
  }
}
