/** What all parts of the SIP server share: clock, listeners, transactions, dialogs, counts. */
import { giveUpMs } from './clock.ts';
import type { Alarm, BaseTimers, Clock } from './clock.ts';
import { DialogTable } from './dialog.ts';
import { newId } from './ids.ts';
import type { SipRequest, SipResponse } from './message.ts';
import { shortestSeconds } from './session-timer.ts';
import type { SessionWish } from './session-timer.ts';
import { ClientTransaction, ServerTransaction } from './transaction/transaction.ts';
import type {
  Arrived,
  ClientUser,
  OutgoingRequest,
  ServerUser,
  Surroundings,
} from './transaction/transaction.ts';
import { Resolver } from './resolve.ts';
import type { Dns } from './resolve/dns.ts';
import type { Address, ConnectionDrop, Listener } from './transport.ts';
import { listenerFor, localSubnets } from './transport/subnets.ts';
import type { Subnet, Wanted } from './transport/subnets.ts';
import { parseSipUri } from './uri.ts';

/** One way to a peer. */
export interface Hop {
  target: Address;
  listener: Listener;
}

/** The machine's networks change seldom; a cable or a container that comes is seen this late. */
const subnetsMs = 10_000;

export interface Counted {
  received: number;
  retransmissions: number;
  /** Messages and connections that were not taken, by reason. */
  dropped: Record<DropReason, number>;
  /** Messages that could not be read, answered with 400 or not. */
  malformed: number;
}

export type DropReason =
  ConnectionDrop | 'keep-alive' | 'malformed' | 'stray response' | 'stray ACK' | 'scanner' | 'over the rate';

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
    dropped: {
      'unknown source': 0,
      'keep-alive': 0,
      malformed: 0,
      'stray response': 0,
      'stray ACK': 0,
      scanner: 0,
      'over the rate': 0,
      connections: 0,
      'connections per source': 0,
      'tls handshake': 0,
      'slow message': 0,
      'not SIP': 0,
    },
    malformed: 0,
  };
  readonly #servers = new Map<string, ServerTransaction>();
  readonly #clients = new Map<string, ClientTransaction>();
  readonly resolver: Resolver;
  /** Requests above this go by TCP where there is a listener for it (RFC 3261 section 18.1.1). */
  readonly #udpBytes: number;
  #subnets: { known: Subnet[]; until: number } | undefined;

  constructor(
    clock: Clock,
    timers: BaseTimers,
    session: Partial<SessionWish> = {},
    dns: Dns = noDns,
    udpBytes = 1_300,
  ) {
    this.session = { expiresSeconds: undefined, minimumSeconds: shortestSeconds, ...session };
    this.clock = clock;
    this.timers = timers;
    this.#udpBytes = udpBytes;
    this.resolver = new Resolver(dns, clock, (transport, family) =>
      this.listeners.some(
        (one) => one.transport === transport && (family === undefined || one.family === family),
      ),
    );
  }

  get transactions(): number {
    return this.#servers.size + this.#clients.size;
  }

  get giveUpMs(): number {
    return giveUpMs(this.timers);
  }

  /** An alarm that `statistics()` counts while it is set. */
  after(delayMs: number, ring: () => void): Alarm {
    return new CountedAlarm(this.clock, this.alarms, delayMs, ring);
  }

  /** The server transaction that a request belongs to: RFC 3261 section 17.2.3. */
  serverFor(request: SipRequest, method = request.method): ServerTransaction | undefined {
    return this.#servers.get(serverKey(request, method));
  }

  openServer(received: Arrived, localTag: string, user: ServerUser): ServerTransaction {
    const key = serverKey(received.request, received.request.method);
    const transaction = new ServerTransaction(
      { id: newId(), localTag },
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
    outgoing: OutgoingRequest,
    user: ClientUser,
  ): ClientTransaction {
    const key = `${identity.branch}|${identity.method}`;
    const transaction = new ClientTransaction(identity, outgoing, user, this, () =>
      this.#clients.delete(key),
    );
    this.#clients.set(key, transaction);
    return transaction;
  }

  clientBy(branch: string, method: string): ClientTransaction | undefined {
    return this.#clients.get(`${branch}|${method}`);
  }

  clientFor(response: SipResponse): ClientTransaction | undefined {
    return this.clientBy(response.via.params.get('branch') ?? '', response.method);
  }

  /** The listener to send to this address from; undefined where none could. */
  listenerTo(to: Address, wanted: Wanted = {}): Listener | undefined {
    const now = this.clock.now();
    if (this.#subnets === undefined || this.#subnets.until <= now) {
      this.#subnets = { known: localSubnets(), until: now + subnetsMs };
    }
    return listenerFor(this.listeners, to, wanted, this.#subnets.known);
  }

  /**
   * The ways to a next hop, best first: at once where the address is known or a literal, later for a name.
   *
   * @param uri its parameter `listener` names the side to leave from; it never reaches the wire
   * @param known where the peer was last heard from; counts as long as a connection to there is open
   */
  locate(uri: string, then: (hops: readonly Hop[]) => void, known?: Address, like?: Listener): void {
    const direct = known && this.listenerTo(known, { like });
    if (known && direct?.reaches(known) === true) {
      then([{ target: known, listener: direct }]);
      return;
    }
    const name = parseSipUri(uri)?.params.get('listener');
    const hops = (targets: readonly Address[]): Hop[] =>
      targets.flatMap((target) => {
        const listener = this.listenerTo(target, { name, like });
        return listener ? [{ target, listener }] : [];
      });
    const literal = this.resolver.literal(uri);
    if (literal) then('refused' in literal ? [] : hops([literal]));
    else void this.resolver.targets(uri).then((targets) => then(hops(targets)));
  }

  /** What is not a transaction, an ACK to a 2xx, goes the first way. */
  sendTo(hops: readonly Hop[], text: string): Hop | undefined {
    const [hop] = hops[0] ? this.widened([hops[0]], text.length) : [];
    if (!hop) return undefined;
    hop.listener.send(text, hop.target);
    return hop;
  }

  /** The same ways, TCP before UDP for a message that a datagram might not carry whole. */
  widened(hops: readonly Hop[], bytes: number): Hop[] {
    if (bytes <= this.#udpBytes) return [...hops];
    return hops.flatMap((hop) => {
      if (hop.target.transport !== 'udp') return [hop];
      const target: Address = { ...hop.target, transport: 'tcp' };
      const listener = this.listenerTo(target, { name: hop.listener.name, like: hop.listener });
      return listener && !this.resolver.blocklist.has(target) ? [{ target, listener }, hop] : [hop];
    });
  }

  /** A connection is gone: the requests that wait on it for a first response wait in vain. */
  lost({ address, port }: Address, listener: Listener): void {
    for (const client of [...this.#clients.values()]) {
      const { target } = client;
      if (client.listener !== listener || target.address !== address || target.port !== port) continue;
      client.machine.handle('transport error');
    }
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

class CountedAlarm implements Alarm {
  readonly #alarms: { set: number };
  readonly #alarm: Alarm;
  #set = true;

  constructor(clock: Clock, alarms: { set: number }, delayMs: number, ring: () => void) {
    this.#alarms = alarms;
    alarms.set += 1;
    this.#alarm = clock.after(delayMs, () => {
      this.#unset();
      ring();
    });
  }

  cancel(): void {
    this.#alarm.cancel();
    this.#unset();
  }

  #unset(): void {
    if (this.#set) this.#alarms.set -= 1;
    this.#set = false;
  }
}

const noDns: Dns = { query: () => Promise.reject(new Error('no DNS')) };

function serverKey(request: SipRequest, method: string): string {
  const { via } = request;
  const branch = via.params.get('branch');
  if (branch?.startsWith('z9hG4bK')) return `${branch}|${via.host}|${via.port ?? ''}|${method}`;
  // RFC 2543 peers: no branch to go by.
  const fromTag = request.from.params.get('tag') ?? '';
  return `${request.callId}|${request.cseq}|${fromTag}|${via.host}|${via.port ?? ''}|${method}`;
}
