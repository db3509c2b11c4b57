/**
 * The embedded SIP server: a SIP stack on UDP with drachtio's control protocol in front, so that the application is
 * the same with it as with drachtio-server.
 */
import { randomBytes, timingSafeEqual, createHash } from 'node:crypto';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { rfcTimers, systemClock } from './clock.ts';
import type { BaseTimers, Clock } from './clock.ts';
import { ControlConnection } from './control/connection.ts';
import { Incoming } from './incoming.ts';
import { parseMessage, serialize, stampVia } from './message.ts';
import type { Header, SipRequest, SipResponse } from './message.ts';
import { Outgoing } from './outgoing.ts';
import type { SessionWish } from './session-timer.ts';
import { Stack, newTag } from './stack.ts';
import type { Counted, DropReason } from './stack.ts';
import { listenUdp } from './transport.ts';
import type { Address, ListenOptions, Listener } from './transport.ts';
import { hostPort } from './uri.ts';

export { ListenFailed } from './transport.ts';

export interface SipServerOptions {
  listen: readonly ListenOptions[];
  /** Whether datagrams from here are read at all; what is not accepted is dropped without an answer. */
  accept: (source: Address) => boolean;
  onEvent?: (event: SipServerEvent) => void;
  /** RFC 3261 values where left out; tests shrink them. */
  timers?: Partial<BaseTimers>;
  /** RFC 4028; left out, session timers run only where a peer asks for them. */
  session?: Partial<SessionWish>;
  clock?: Clock;
}

export type SipServerEvent =
  | { kind: 'dropped'; reason: DropReason; source: Address }
  | { kind: 'malformed'; why: string; answered: boolean; source: Address }
  | { kind: 'application connected' | 'application lost' }
  /** A fault of this server, met while it took a message: that message is lost, the calls go on. */
  | { kind: 'failed'; error: unknown; source: Address };

export interface SipServer extends AsyncDisposable {
  /** What `srf.connect()` takes. */
  readonly control: { host: string; port: number; secret: string };
  readonly addresses: readonly Address[];
  statistics(): SipServerStatistics;
  /** From now on new INVITEs get 503 with this Retry-After; dialogs go on. */
  refuseNew(retryAfterSeconds?: number): void;
  /** Stops at once: what is open is forgotten, not ended. Drain first. */
  close(): Promise<void>;
}

export interface SipServerStatistics extends Counted {
  transactions: number;
  dialogs: number;
  /** Alarms that are set. */
  timers: number;
  applications: number;
}

/** Starts the server on its SIP addresses and on a control port of its own. @throws ListenFailed */
export async function startSipServer(options: SipServerOptions): Promise<SipServer> {
  const stack = new Stack(options.clock ?? systemClock, { ...rfcTimers, ...options.timers }, options.session);
  const connections = new Set<ControlConnection>();
  const secret = randomBytes(24).toString('base64url');
  let retryAfterSeconds: number | undefined;
  let turn = 0;

  const outgoing = new Outgoing(stack);
  const incoming = new Incoming(stack, {
    route(method) {
      const takers = [...connections].filter((connection) => connection.routes.has(method));
      turn += 1;
      return takers[turn % Math.max(1, takers.length)];
    },
    connected: () => [...connections].some((connection) => connection.authenticated),
    refusing: () => retryAfterSeconds,
    bye: (dialog, reason, tell) => outgoing.bye(dialog, reason, tell),
    startSession: (dialog, session) => outgoing.startSession(dialog, session),
  });

  const drop = (reason: DropReason, source: Address) => {
    stack.counted.dropped[reason] += 1;
    options.onEvent?.({ kind: 'dropped', reason, source });
  };

  const receive = (bytes: Buffer, source: Address, listener: Listener) => {
    if (!options.accept(source)) {
      drop('unknown source', source);
      return;
    }
    if (isKeepAlive(bytes)) {
      drop('keep-alive', source);
      return;
    }
    stack.counted.received += 1;
    const parsed = parseMessage(bytes);
    if (!parsed.ok) {
      const { why, answer } = parsed;
      stack.counted.malformed += 1;
      options.onEvent?.({ kind: 'malformed', why, answered: answer !== undefined, source });
      if (answer) listener.send(refusalOf(answer.status, answer.headers, why, listener), source);
      else stack.counted.dropped.malformed += 1;
      return;
    }
    try {
      take(parsed.message, source, listener);
    } catch (error) {
      // One message must not end all calls.
      options.onEvent?.({ kind: 'failed', error, source });
    }
  };

  const take = (message: SipRequest | SipResponse, source: Address, listener: Listener): void => {
    if (message.kind === 'request') {
      stampVia(message, source);
      incoming.receive(message, source, listener);
      return;
    }
    const transaction = stack.clientFor(message);
    if (transaction) transaction.receive(message, source);
    else drop('stray response', source);
  };

  try {
    for (const one of options.listen) stack.listeners.push(await listenUdp(one, receive));
  } catch (error) {
    await Promise.all(stack.listeners.map((listener) => listener.close()));
    throw error;
  }

  const control = createServer((socket) => {
    const connection = new ControlConnection(socket, stack.clock, {
      authenticate(_, given) {
        const right = timingSafeEqual(digest(given), digest(secret));
        if (right) options.onEvent?.({ kind: 'application connected' });
        return right;
      },
      hostports: () => ({
        advertised: stack.listeners.map(({ host, port }) => `udp/${hostPort(host, port)}`).join(','),
        bound: stack.listeners.map(({ address, port }) => `udp/${hostPort(address, port)}`).join(','),
      }),
      request: (owner, rid, names, raw) => outgoing.request(owner, rid, names, raw),
      respond: (owner, rid, transaction, raw) => incoming.respond(owner, rid, transaction, raw),
      cancel: (owner, rid, transaction, raw) => outgoing.cancel(owner, rid, transaction, raw),
      lost(owner) {
        connections.delete(owner);
        incoming.abandon(owner);
        outgoing.abandon(owner);
        if (owner.authenticated) options.onEvent?.({ kind: 'application lost' });
      },
    });
    connections.add(connection);
  });
  const port = await listenOnLoopback(control);

  let closed: Promise<void> | undefined;
  const close = async () => {
    const gone = new Promise<void>((resolve) => control.close(() => resolve()));
    for (const connection of connections) connection.close();
    stack.clear();
    await Promise.all(stack.listeners.map((listener) => listener.close()));
    await gone;
    stack.clear();
  };

  return {
    control: { host: '127.0.0.1', port, secret },
    addresses: stack.listeners.map((one) => ({
      transport: one.transport,
      address: one.address,
      port: one.port,
    })),
    statistics: () => ({
      ...structuredClone(stack.counted),
      transactions: stack.transactions,
      dialogs: stack.dialogs.size,
      timers: stack.alarms.set,
      applications: [...connections].filter((connection) => connection.authenticated).length,
    }),
    refuseNew(seconds = 30) {
      retryAfterSeconds = seconds;
    },
    close: () => (closed ??= close()),
    [Symbol.asyncDispose]: () => (closed ??= close()),
  };
}

async function listenOnLoopback(control: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    control.once('error', reject);
    control.listen(0, '127.0.0.1', resolve);
  });
  const bound = control.address();
  return typeof bound === 'object' && bound !== null ? bound.port : 0;
}

/** Empty datagrams, CRLFs and NULs hold a NAT binding open (RFC 5626 section 3.5). */
function isKeepAlive(bytes: Buffer): boolean {
  if (bytes.length > 4) return false;
  return bytes.every((byte) => byte === 0x0d || byte === 0x0a || byte === 0);
}

/** A 400 or 505 outside any transaction: what the peer sent cannot be kept track of. */
function refusalOf(status: 400 | 505, headers: readonly Header[], why: string, listener: Listener): string {
  const copied = headers.filter((one) => one.key === 'via');
  for (const key of ['from', 'to', 'call-id', 'cseq']) {
    const first = headers.find((one) => one.key === key);
    if (first) copied.push(key === 'to' && !first.value.includes(';tag=') ? tagged(first) : first);
  }
  const warning = { name: 'Warning', key: 'warning', value: `399 ${listener.host} "${why}"` };
  const reason = status === 400 ? 'Bad Request' : 'Version Not Supported';
  return serialize(`SIP/2.0 ${status} ${reason}`, [...copied, warning], '');
}

function tagged(to: Header): Header {
  return { ...to, value: `${to.value};tag=${newTag()}` };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
