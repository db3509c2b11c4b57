/** SIP over UDP: one socket, one datagram a message. */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Alarm, Clock } from '../clock.ts';
import { ListenFailed } from '../transport.ts';
import type { Address, Listener, Probe, Receiver } from '../transport.ts';
import { reachable } from './subnets.ts';

export interface UdpOptions {
  name: string;
  address: string;
  port: number;
  advertise?: string | undefined;
}

type Receive = (bytes: Buffer, source: Address) => void;

/** Sockets that listen for refusals, at most; the transactions above that wait for their timers. */
const maxProbes = 64;
const lingerMs = 5_000;

/** Binds one UDP socket. @throws ListenFailed */
export async function listenUdp(options: UdpOptions, clock: Clock, receiver: Receiver): Promise<Listener> {
  const family = isIPv6(options.address) ? 6 : 4;
  const socket = await bindShared(options, family);
  const { address, port } = socket.address();
  const probes = new Map<string, SharedProbe>();
  let open = true;
  const receive: Receive = (bytes, source) => receiver.message(bytes, source, listener);
  const listener: Listener = {
    name: options.name,
    transport: 'udp',
    family,
    address,
    port,
    host: options.advertise ?? reachable(address, family),
    connections: 0,
    send(text, to, failed) {
      if (!open) return;
      const bytes = Buffer.from(text, 'latin1');
      socket.send(bytes, 0, bytes.length, to.port, to.address, (error) => {
        if (error) failed?.(error);
      });
    },
    reaches: () => true,
    probe(text, to, refused) {
      const key = `${to.address}|${to.port}`;
      let probe = probes.get(key);
      if (!probe) {
        if (probes.size >= maxProbes || !open) {
          listener.send(text, to);
          return { close: () => undefined };
        }
        probe = new SharedProbe({ family, address, port }, to, clock, receive, () => probes.delete(key));
        probes.set(key, probe);
      }
      return probe.add(text, refused);
    },
    suspect: () => undefined,
    close: async () => {
      if (!open) return;
      open = false;
      for (const probe of [...probes.values()]) probe.end();
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
  listen(socket, receive);
  // Errors of single datagrams come to the send callback; one on the socket concerns no message in particular.
  socket.on('error', () => undefined);
  return listener;
}

/**
 * Sockets of ours may join this one at its port later (the probes), those of others must not: whether the port is free
 * is asked by a bind that shares with nobody.
 */
async function bindShared(options: UdpOptions, family: 4 | 6): Promise<Socket> {
  const alone = await bind(family, options.address, options.port, false);
  const { port } = alone.address();
  await new Promise<void>((resolve) => alone.close(() => resolve()));
  return bind(family, options.address, port, true);
}

async function bind(family: 4 | 6, address: string, port: number, reusePort: boolean): Promise<Socket> {
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    ipv6Only: family === 6,
    recvBufferSize: 1_048_576,
    reusePort,
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error) => reject(new ListenFailed(address, port, error)));
    socket.bind(port, address, resolve);
  });
  socket.removeAllListeners('error');
  return socket;
}

function listen(socket: Socket, receive: Receive): void {
  socket.on('message', (bytes, { address, port }) => receive(bytes, { transport: 'udp', address, port }));
}

/**
 * Hears that a peer's port is closed. The system tells only a connected socket of an ICMP error, so one is connected
 * there from the listener's own address and port: what is refused then is the very path of our requests, never a port
 * of ours that a firewall does not know. What the peer sends meanwhile arrives here and is passed on.
 */
class SharedProbe {
  readonly #socket: Socket;
  readonly #gone: () => void;
  readonly #waiting = new Set<() => void>();
  readonly #clock: Clock;
  #connected = false;
  #queued: string[] = [];
  #linger: Alarm | undefined;

  constructor(
    local: { family: 4 | 6; address: string; port: number },
    to: Address,
    clock: Clock,
    receive: Receive,
    gone: () => void,
  ) {
    this.#clock = clock;
    this.#gone = gone;
    this.#socket = createSocket({
      type: local.family === 6 ? 'udp6' : 'udp4',
      ipv6Only: local.family === 6,
      reusePort: true,
    });
    listen(this.#socket, (bytes, source) => {
      this.#endLater();
      receive(bytes, source);
    });
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#failed(error));
    this.#socket.bind(local.port, local.address, () => {
      this.#socket.connect(to.port, to.address, () => {
        this.#connected = true;
        for (const text of this.#queued) this.#socket.send(Buffer.from(text, 'latin1'));
        this.#queued = [];
      });
    });
  }

  add(text: string, refused: () => void): Probe {
    // A function of its own: two transactions may hand in the same one.
    const told = (): void => refused();
    this.#waiting.add(told);
    this.#linger?.cancel();
    if (this.#connected) this.#socket.send(Buffer.from(text, 'latin1'));
    else this.#queued.push(text);
    return {
      close: () => {
        if (this.#waiting.delete(told)) this.#endLater();
      },
    };
  }

  /** What lies in a socket when it is closed is lost, so it is closed when nothing has come for a while. */
  #endLater(): void {
    this.#linger?.cancel();
    if (this.#waiting.size === 0) this.#linger = this.#clock.after(lingerMs, () => this.end());
  }

  end(): void {
    this.#linger?.cancel();
    this.#waiting.clear();
    this.#gone();
    this.#socket.close();
  }

  #failed({ code }: NodeJS.ErrnoException): void {
    // ECONNREFUSED is ICMP "port unreachable"; what routers say of hosts and networks passes (RFC 1122 section 4.2.3.9).
    if (code !== 'ECONNREFUSED') return;
    const told = [...this.#waiting];
    this.end();
    for (const refused of told) refused();
  }
}
