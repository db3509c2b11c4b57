/**
 * The embedded SIP server: a SIP stack with drachtio's control protocol in front, so that the application is the same
 * with it as with drachtio-server.
 */
import { Admission } from './admission.ts';
import type { RateLimits } from './admission.ts';
import { rfcTimers, systemClock } from './clock.ts';
import type { BaseTimers, Clock } from './clock.ts';
import { ControlPort } from './control/port.ts';
import { Incoming } from './incoming.ts';
import { header, parseMessage, splitMessage, stampVia } from './message.ts';
import type { SipRequest, SipResponse } from './message.ts';
import { Outgoing } from './outgoing.ts';
import type { SessionWish } from './session-timer.ts';
import { refusal, warning } from './refusal.ts';
import { nodeDns } from './resolve/dns.ts';
import type { Dns } from './resolve/dns.ts';
import { Stack } from './stack.ts';
import type { Counted, DropReason } from './stack.ts';
import type { Address, Listener, Receiver } from './transport.ts';
import type { CertificateEvent } from './transport/certificates.ts';
import type { ConnectionLimits } from './transport/connection.ts';
import type { AdmissionLimits } from './transport/connections.ts';
import { openListener } from './transport/listen.ts';
import type { ListenOptions, Opened } from './transport/listen.ts';

export { ListenFailed } from './transport.ts';
export { CertificateRefused } from './transport/certificates.ts';

export interface SipServerLimits extends RateLimits, ConnectionLimits, AdmissionLimits {
  /** Requests above this go by TCP where there is a listener for it (RFC 3261 section 18.1.1). */
  udpBytes: number;
}

export interface SipServerOptions {
  listen: readonly ListenOptions[];
  /** Whether messages from here are read at all; what is not accepted is dropped without an answer. */
  accept: (source: Address) => boolean;
  onEvent?: (event: SipServerEvent) => void;
  /** RFC 3261 values where left out; tests shrink them. */
  timers?: Partial<BaseTimers>;
  /** RFC 4028; left out, session timers run only where a peer asks for them. */
  session?: Partial<SessionWish>;
  limits?: Partial<SipServerLimits>;
  clock?: Clock;
  /** The system's where left out. */
  dns?: Dns;
}

export type SipServerEvent =
  | { kind: 'dropped'; reason: DropReason; source: Address }
  | { kind: 'malformed'; why: string; answered: boolean; source: Address }
  | { kind: 'application connected' | 'application lost' }
  | CertificateEvent
  /** A fault of this server, met while it took a message: that message is lost, the calls go on. */
  | { kind: 'failed'; error: unknown; source: Address };

export interface SipServer extends AsyncDisposable {
  /** What `srf.connect()` takes. */
  readonly control: { host: string; port: number; secret: string };
  readonly addresses: readonly (Address & { name: string })[];
  statistics(): SipServerStatistics;
  /** When the certificate of each TLS listener ends. */
  certificates(): { listener: string; until: Date }[];
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
  /** Stream connections that are open. */
  connections: number;
  /** Answers of the DNS that were used past their time. */
  staleAnswers: number;
}

/** Starts the server on its SIP addresses and on a control port of its own. @throws ListenFailed, CertificateRefused */
export async function startSipServer(options: SipServerOptions): Promise<SipServer> {
  const clock = options.clock ?? systemClock;
  const limits = options.limits ?? {};
  const timers = { ...rfcTimers, ...options.timers };
  const stack = new Stack(clock, timers, options.session, options.dns ?? nodeDns(), limits.udpBytes);
  const state: { retryAfterSeconds: number | undefined } = { retryAfterSeconds: undefined };

  const outgoing: Outgoing = new Outgoing(stack);
  const control: ControlPort = new ControlPort(clock, () => stack.listeners, {
    request: (owner, rid, names, raw) => outgoing.request(owner, rid, names, raw),
    respond: (owner, rid, transaction, raw) => incoming.respond(owner, rid, transaction, raw),
    cancel: (owner, rid, transaction, raw) => outgoing.cancel(owner, rid, transaction, raw),
    connected: () => options.onEvent?.({ kind: 'application connected' }),
    lost(owner) {
      incoming.abandon(owner);
      outgoing.abandon(owner);
      if (owner.authenticated) options.onEvent?.({ kind: 'application lost' });
    },
  });
  const incoming: Incoming = new Incoming(stack, {
    route: (method) => control.route(method),
    connected: () => control.applications > 0,
    refusing: () => state.retryAfterSeconds,
    bye: (dialog, reason, tell) => outgoing.bye(dialog, reason, tell),
    startSession: (dialog, session) => outgoing.startSession(dialog, session),
  });

  const opened: Opened[] = [];
  const closeListeners = () => Promise.all(opened.map(({ listener }) => listener.close()));
  const receiver = receiverOf(stack, incoming, options);
  const onCertificate = (event: CertificateEvent) => options.onEvent?.(event);
  try {
    for (const one of options.listen) {
      opened.push(await openListener(one, { clock, receiver, limits, onCertificate }));
      stack.listeners.push(opened.at(-1)!.listener);
    }
  } catch (error) {
    await closeListeners();
    throw error;
  }
  const port = await control.listen();

  let closed: Promise<void> | undefined;
  const close = async () => {
    const gone = control.close();
    stack.clear();
    await closeListeners();
    await gone;
    stack.clear();
  };
  return {
    control: { host: '127.0.0.1', port, secret: control.secret },
    addresses: stack.listeners.map(({ name, transport, address, port: bound }) => ({
      name,
      transport,
      address,
      port: bound,
    })),
    statistics: () => ({
      ...structuredClone(stack.counted),
      transactions: stack.transactions,
      dialogs: stack.dialogs.size,
      timers: stack.alarms.set,
      applications: control.applications,
      connections: stack.listeners.reduce((sum, { connections }) => sum + connections, 0),
      staleAnswers: stack.resolver.stale,
    }),
    certificates: () =>
      opened.flatMap(({ listener, certificates }) =>
        certificates ? [{ listener: listener.name, until: certificates.until }] : [],
      ),
    refuseNew(seconds = 30) {
      state.retryAfterSeconds = seconds;
    },
    close: () => (closed ??= close()),
    [Symbol.asyncDispose]: () => (closed ??= close()),
  };
}

/** What becomes of each thing that arrives on a listener. */
function receiverOf(stack: Stack, incoming: Incoming, options: SipServerOptions): Receiver {
  const { accept, onEvent } = options;
  const admission = new Admission(stack.clock, options.limits ?? {});
  const drop = (reason: DropReason, source: Address) => {
    stack.counted.dropped[reason] += 1;
    onEvent?.({ kind: 'dropped', reason, source });
  };

  const take = (message: SipRequest | SipResponse, source: Address, listener: Listener): void => {
    if (message.kind === 'response') {
      const transaction = stack.clientFor(message);
      if (transaction) transaction.receive(message, source);
      else drop('stray response', source);
      return;
    }
    stampVia(message, source);
    const begins = !message.to.params.has('tag') && message.method !== 'ACK' && message.method !== 'CANCEL';
    if (begins && !stack.serverFor(message)) {
      const verdict = admission.judge(message, source);
      if (verdict !== 'take') {
        drop(verdict, source);
        if (verdict === 'over the rate')
          listener.send(refusal(503, message.headers, header('Retry-After', '5')), source);
        return;
      }
    }
    incoming.receive(message, source, listener);
  };

  return {
    admits: accept,
    dropped: drop,
    lost: (to, listener) => stack.lost(to, listener),
    message(bytes, source, listener) {
      if (!accept(source)) {
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
        onEvent?.({ kind: 'malformed', why, answered: answer !== undefined, source });
        if (answer)
          listener.send(refusal(answer.status, answer.headers, warning(listener.host, why)), source);
        else stack.counted.dropped.malformed += 1;
        return;
      }
      try {
        take(parsed.message, source, listener);
      } catch (error) {
        // One message must not end all calls.
        onEvent?.({ kind: 'failed', error, source });
      }
    },
    broken(status, why, head, source, listener) {
      stack.counted.malformed += 1;
      const bounds = { messageBytes: Infinity, headers: Infinity, headerBytes: Infinity };
      const raw = splitMessage(`${head}\r\n`, bounds, 'ignore');
      const answered =
        typeof raw !== 'string' &&
        !raw.startLine.startsWith('SIP/') &&
        !raw.startLine.startsWith('ACK ') &&
        raw.headers.some(({ key }) => key === 'via');
      if (answered) listener.send(refusal(status, raw.headers, warning(listener.host, why)), source);
      onEvent?.({ kind: 'malformed', why, answered, source });
    },
  };
}

/** Empty datagrams, CRLFs and NULs hold a NAT binding open (RFC 5626 section 3.5). */
function isKeepAlive(bytes: Buffer): boolean {
  if (bytes.length > 4) return false;
  return bytes.every((byte) => byte === 0x0d || byte === 0x0a || byte === 0);
}
