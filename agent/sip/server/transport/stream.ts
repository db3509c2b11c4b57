/** What TCP and TLS listeners share: connections that are taken, opened, used again, bounded and let go. */
import { isIPv6 } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { ListenFailed } from '../transport.ts';
import type { Address, Listener, Receiver, Transport } from '../transport.ts';
import { Connection, connectionLimits } from './connection.ts';
import type { ConnectionLimits, ConnectionLoss } from './connection.ts';
import { Connections, admissionLimits } from './connections.ts';
import type { AdmissionLimits } from './connections.ts';
import { reachable } from './subnets.ts';

export interface StreamOptions {
  name: string;
  address: string;
  port: number;
  advertise?: string | undefined;
  limits?: Partial<ConnectionLimits & AdmissionLimits>;
}

/** What differs between TCP and TLS. */
export interface StreamKind {
  transport: Transport;
  server: Server;
  /** The event that brings a connection that is ready to be read. */
  accepted: string;
  /** Opens a connection; `ready` is the event after which it may be written to. */
  dial(to: Address, localAddress: string | undefined): { socket: Socket; ready: string };
  close(): void;
}

const dropped: Partial<Record<ConnectionLoss, 'slow message' | 'not SIP'>> = {
  'slow message': 'slow message',
  'not SIP': 'not SIP',
};

/** Binds a stream listener. @throws ListenFailed */
export async function listenStream(
  options: StreamOptions,
  kind: StreamKind,
  clock: Clock,
  receiver: Receiver,
): Promise<Listener> {
  const limits = { ...connectionLimits, ...admissionLimits, ...options.limits };
  const { server, transport } = kind;
  const family = isIPv6(options.address) ? 6 : 4;
  const connections = new Connections(limits);
  let open = true;

  const attach = (socket: Socket, remote: Address, ready: string | undefined): Connection => {
    const connection = new Connection({ socket, remote, ready }, clock, limits, {
      message: (bytes) => receiver.message(bytes, remote, listener),
      broken: ({ status, message, head }) => receiver.broken(status, message, head, remote, listener),
      gone(why) {
        connections.remove(connection);
        const reason = dropped[why];
        if (reason) receiver.dropped(reason, remote);
        receiver.lost(remote, listener);
      },
    });
    connections.add(connection);
    return connection;
  };

  // Before any TLS handshake: strangers and floods cost no more than the accept.
  server.on('connection', (socket: Socket) => {
    const source = remoteOf(socket, transport);
    const why = receiver.admits(source) ? connections.admit(source.address) : 'unknown source';
    if (why === undefined) {
      socket.once('close', () => connections.left(source.address));
      return;
    }
    receiver.dropped(why, source);
    socket.destroy();
  });
  server.on(kind.accepted, (socket: Socket) => {
    if (socket.destroyed || !open) socket.destroy();
    else attach(socket, remoteOf(socket, transport), undefined);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new ListenFailed(options.address, options.port, error)));
    server.listen(
      { port: options.port, host: options.address, ipv6Only: family === 6, backlog: 511 },
      resolve,
    );
  });
  server.removeAllListeners('error');
  server.on('error', () => undefined);

  const { address, port } = server.address() as AddressInfo;
  const wildcard = address === '0.0.0.0' || address === '::';
  const dial = (to: Address): Connection => {
    const { socket, ready } = kind.dial(to, wildcard ? undefined : address);
    return attach(socket, to, ready);
  };
  const listener: Listener = {
    name: options.name,
    transport,
    family,
    address,
    port,
    host: options.advertise ?? reachable(address, family),
    get connections() {
      return connections.size;
    },
    send(text, to, failed) {
      if (!open) return;
      const { otherwise, ...there } = to;
      const connection = connections.find(there) ?? dial(otherwise ?? there);
      connection.send(text, failed);
    },
    reaches: (to) => connections.find(to) !== undefined,
    probe(text, to, _refused) {
      listener.send(text, to);
      return { close: () => undefined };
    },
    suspect(to, silentMs) {
      connections.find(to)?.suspect(silentMs);
    },
    close: async () => {
      if (!open) return;
      open = false;
      kind.close();
      const gone = new Promise<void>((resolve) => server.close(() => resolve()));
      connections.closeAll();
      await gone;
    },
  };
  return listener;
}

function remoteOf(socket: Socket, transport: Transport): Address {
  return { transport, address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
}
