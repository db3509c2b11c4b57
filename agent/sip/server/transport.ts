/** What the rest of the server knows of transports: an address, a bound listener, and what arrives. */
import { TacetError, messageOf } from '../../../config/errors.ts';
import { hostPort } from './uri.ts';

export type Transport = 'udp' | 'tcp' | 'tls';

/** Where a message came from, or goes to. */
export interface Address {
  transport: Transport;
  address: string;
  port: number;
  /** Over TLS: the name that the far end's certificate must carry (RFC 5922 section 7.3); left out: none was asked for. */
  serverName?: string;
}

/** An address that may be gone: the connection that a request came on, and where else its sender can be found. */
export interface Destination extends Address {
  otherwise?: Address;
}

export interface Listener {
  /** The side of the network that it serves: `inside`, `outside`. Listeners of several transports may share one. */
  readonly name: string;
  readonly transport: Transport;
  readonly family: 4 | 6;
  /** As bound. */
  readonly address: string;
  readonly port: number;
  /** As peers are told. */
  readonly host: string;
  /** Stream connections that are open. */
  readonly connections: number;
  /** Sends bytes (latin1 text). `failed` is called where they certainly did not leave, or met nobody. */
  send(text: string, to: Destination, failed?: (error: Error) => void): void;
  /** Whether a message to there could go without a new connection: always by UDP. */
  reaches(to: Address): boolean;
  /**
   * Sends the same again, and listens for an ICMP error that says that nobody is there. `refused` is called at most
   * once; close it when the answer no longer matters. Streams need none: theirs say so by themselves.
   */
  probe(text: string, to: Address, refused: () => void): Probe;
  /** A request there got no answer: a connection on which nothing has come for as long is not used again. */
  suspect(to: Address, silentMs: number): void;
  close(): Promise<void>;
}

export interface Probe {
  close(): void;
}

/** Why a stream connection was not taken, or not kept. */
export type ConnectionDrop =
  'unknown source' | 'connections' | 'connections per source' | 'tls handshake' | 'slow message' | 'not SIP';

/** What listeners tell. */
export interface Receiver {
  message(bytes: Buffer, source: Address, listener: Listener): void;
  /** Whether anything from there is read at all. */
  admits(source: Address): boolean;
  /** A stream whose next message cannot be found: what is sent in reply still goes out before it is closed. */
  broken(status: 400 | 413 | 513, why: string, head: string, source: Address, listener: Listener): void;
  /** A connection that was used is gone: what waits for an answer on it waits in vain. */
  lost(to: Address, listener: Listener): void;
  dropped(why: ConnectionDrop, source: Address): void;
}

/** The address cannot be bound, most often because another process has it. */
export class ListenFailed extends TacetError {
  readonly address: string;
  readonly port: number;
  readonly code: string | undefined;
  constructor(address: string, port: number, cause: unknown) {
    super(
      `cannot listen for SIP on ${address} port ${port}: ${messageOf(cause)}; free the port or choose another`,
      {
        cause,
      },
    );
    this.address = address;
    this.port = port;
    this.code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
  }
}

/** RFC 3261 sections 18.1.1 and 19.1.2. */
export function defaultPort(transport: Transport): number {
  return transport === 'tls' ? 5_061 : 5_060;
}

/** Messages arrive once and in order: RFC 3261 arms no timers A, E, G and keeps no transaction for repeats. */
export function isReliable(transport: Transport): boolean {
  return transport !== 'udp';
}

/** Our Via value: `rport` asks for the answer where we sent from (RFC 3581). */
export function viaOf({ transport, host, port }: Listener, branch: string): string {
  return `SIP/2.0/${transport.toUpperCase()} ${hostPort(host, port)};branch=${branch};rport`;
}

/** Our URI as peers reach it: `sips` where the request asked for it (RFC 3261 section 8.1.1.8). */
export function contactUri({ transport, host, port }: Listener, secure = false): string {
  const suffix = transport === 'udp' ? '' : `;transport=${transport}`;
  return `${secure && transport === 'tls' ? 'sips' : 'sip'}:${hostPort(host, port)}${suffix}`;
}
