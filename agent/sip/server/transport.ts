/**
 * Where messages come from and go to. UDP for now; a stream transport would give the same three things: a bound
 * address, a way to send, and a callback for what arrives.
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { TacetError, messageOf } from '../../../config/errors.ts';

export type Transport = 'udp' | 'tcp' | 'tls';

/** Where a message came from, or goes to. */
export interface Address {
  transport: Transport;
  address: string;
  port: number;
}

export interface ListenOptions {
  transport: 'udp';
  address: string;
  port: number;
  /** What Contact and Via say where it differs from the bound address (static NAT). */
  advertise?: string;
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

export interface Listener {
  readonly transport: Transport;
  readonly family: 4 | 6;
  /** As bound. */
  readonly address: string;
  readonly port: number;
  /** As peers are told. */
  readonly host: string;
  /** Sends bytes (latin1 text). `failed` is called where the system refuses, e.g. no route to the host. */
  send(text: string, to: Address, failed?: (error: Error) => void): void;
  /**
   * Asks whether anything is bound there: a keep-alive from a connected socket, since the system tells only those of
   * an ICMP error. `refused` is called at most once; close it when the answer no longer matters.
   */
  probe(to: Address, refused: () => void): Probe;
  close(): Promise<void>;
}

export interface Probe {
  close(): void;
}

export type Receive = (bytes: Buffer, source: Address, listener: Listener) => void;

/** Binds one UDP socket. @throws ListenFailed */
export async function listenUdp(options: ListenOptions, receive: Receive): Promise<Listener> {
  const family = isIPv6(options.address) ? 6 : 4;
  const socket = createSocket({ type: family === 6 ? 'udp6' : 'udp4', recvBufferSize: 1_048_576 });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error) => reject(new ListenFailed(options.address, options.port, error)));
    socket.bind(options.port, options.address, resolve);
  });
  socket.removeAllListeners('error');
  const { address, port } = socket.address();
  let open = true;
  const listener: Listener = {
    transport: 'udp',
    family,
    address,
    port,
    host: options.advertise ?? reachable(address, family),
    send(text, to, failed) {
      if (!open) return;
      const bytes = Buffer.from(text, 'latin1');
      socket.send(bytes, 0, bytes.length, to.port, to.address, (error) => {
        if (error) failed?.(error);
      });
    },
    probe: (to, refused) => openProbe(family, address, to, refused),
    close: () =>
      new Promise((resolve) => {
        if (!open) {
          resolve();
          return;
        }
        open = false;
        socket.close(() => resolve());
      }),
  };
  // Errors of single datagrams come to the send callback; one on the socket concerns no message in particular.
  socket.on('error', () => undefined);
  socket.on('message', (bytes, { address: from, port: fromPort }) =>
    receive(bytes, { transport: 'udp', address: from, port: fromPort }, listener),
  );
  return listener;
}

function openProbe(family: 4 | 6, local: string, to: Address, refused: () => void): Probe {
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  let open = true;
  const close = (): void => {
    if (open) socket.close();
    open = false;
  };
  socket.on('error', (error: NodeJS.ErrnoException) => {
    close();
    if (error.code === 'ECONNREFUSED' || error.code === 'EHOSTUNREACH') refused();
  });
  socket.bind(0, local, () => {
    if (!open) return;
    socket.connect(to.port, to.address, () => {
      if (open) socket.send('\r\n\r\n');
    });
  });
  return { close };
}

/** A wildcard address is none that a peer could use: the first address of the machine stands in for it. */
function reachable(address: string, family: 4 | 6): string {
  if (address !== '0.0.0.0' && address !== '::') return address;
  const all = Object.values(networkInterfaces()).flatMap((interfaces) => interfaces ?? []);
  const outside = all.find((one) => !one.internal && one.family === `IPv${family}`);
  return outside?.address ?? (family === 6 ? '::1' : '127.0.0.1');
}
