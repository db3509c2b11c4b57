/**
 * The few calls of the operating system that the relay lives on, through koffi: Node's own datagram sockets cost two to
 * three times as much per packet. Linux only. Every call is non-blocking except `wait`.
 */
import koffi from 'koffi';
import { isIPv6 } from 'node:net';
import { TacetError } from '../../config/errors.ts';

const libc = koffi.load('libc.so.6');
const c = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const void *address, uint32_t length)'),
  connect: libc.func('int connect(int fd, const void *address, uint32_t length)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
  recv: libc.func('long recv(int fd, void *buffer, size_t length, int flags)'),
  recvfrom: libc.func(
    'long recvfrom(int fd, void *buffer, size_t length, int flags, void *address, _Inout_ uint32_t *addressLength)',
  ),
  send: libc.func('long send(int fd, const void *buffer, size_t length, int flags)'),
  sendto: libc.func(
    'long sendto(int fd, const void *buffer, size_t length, int flags, const void *address, uint32_t addressLength)',
  ),
  close: libc.func('int close(int fd)'),
  epollCreate: libc.func('int epoll_create1(int flags)'),
  epollControl: libc.func('int epoll_ctl(int epoll, int operation, int fd, void *event)'),
  epollWait: libc.func('int epoll_wait(int epoll, void *events, int size, int timeoutMs)'),
};

const afInet = 2;
const afInet6 = 10;
const sockDgram = 2;
const sockNonblockCloexec = 0o4000 | 0o2000000;
const msgDontwait = 0x40;
const epollAdd = 1;
const epollDelete = 2;
const epollIn = 1;
// struct epoll_event is packed on x86-64 only (epoll_ctl(2)).
const eventSize = process.arch === 'x64' ? 12 : 16;
const eventDataAt = process.arch === 'x64' ? 4 : 8;
/** Bytes of the largest datagram we take; an RTP packet of G.711 at 60 ms is 492. */
export const largestPacket = 2_048;

/** A call of the operating system failed; `errno` says how. */
export class SystemCallFailed extends TacetError {
  readonly errno: number;
  constructor(call: string, detail: string) {
    const errno = koffi.errno();
    super(`${call} failed for ${detail} (errno ${errno})`);
    this.errno = errno;
  }
}

/** `struct sockaddr_in` or `sockaddr_in6` of a numeric address. */
export function socketAddress(address: string, port: number): Uint8Array {
  const v6 = isIPv6(address);
  const bytes = Buffer.alloc(v6 ? 28 : 16);
  bytes.writeUInt16LE(v6 ? afInet6 : afInet, 0);
  bytes.writeUInt16BE(port, 2);
  if (v6) expandIPv6(address).forEach((group, index) => bytes.writeUInt16BE(group, 8 + 2 * index));
  else address.split('.').forEach((part, index) => bytes.writeUInt8(Number(part), 4 + index));
  return bytes;
}

function expandIPv6(address: string): number[] {
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const groups = (text: string): number[] =>
    text === ''
      ? []
      : text.split(':').flatMap((part) => {
          if (!part.includes('.')) return [Number.parseInt(part, 16)];
          const [a, b, d, e] = part.split('.').map(Number) as [number, number, number, number];
          return [(a << 8) | b, (d << 8) | e];
        });
  const first = groups(head);
  if (tail === undefined) return first;
  const last = groups(tail);
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
}

/** Opens a UDP socket bound to a local address. @throws SystemCallFailed (EADDRINUSE: the port is taken) */
export function openUdp(address: string, port: number): number {
  const v6 = isIPv6(address);
  const fd = c.socket(v6 ? afInet6 : afInet, sockDgram | sockNonblockCloexec, 0) as number;
  if (fd < 0) throw new SystemCallFailed('socket', `${address}:${port}`);
  const local = socketAddress(address, port);
  if ((c.bind(fd, local, local.length) as number) < 0) {
    const failure = new SystemCallFailed('bind', `${address}:${port}`);
    c.close(fd);
    throw failure;
  }
  return fd;
}

export function closeSocket(fd: number): void {
  c.close(fd);
}

/** From now on the kernel hands over only what comes from this source, and `sendConnected` goes there. */
export function connectUdp(fd: number, remote: Uint8Array): boolean {
  return (c.connect(fd, remote, remote.length) as number) === 0;
}

/** Takes a socket back to hearing everybody (connect(2): AF_UNSPEC). */
export function disconnectUdp(fd: number): void {
  const nowhere = new Uint8Array(16);
  c.connect(fd, nowhere, nowhere.length);
}

/** Receives into `buffer`; bytes, or -1 when nothing is there (or an ICMP error was). */
export function receiveConnected(fd: number, buffer: Uint8Array): number {
  return c.recv(fd, buffer, largestPacket, msgDontwait) as number;
}

const addressLength = [28];

/** Receives into `buffer` and the source into `source` (28 bytes). */
export function receiveFrom(fd: number, buffer: Uint8Array, source: Uint8Array): number {
  addressLength[0] = 28;
  return c.recvfrom(fd, buffer, largestPacket, msgDontwait, source, addressLength) as number;
}

export function sendConnected(fd: number, buffer: Uint8Array, length: number): boolean {
  return (c.send(fd, buffer, length, msgDontwait) as number) === length;
}

export function sendTo(fd: number, buffer: Uint8Array, length: number, remote: Uint8Array): boolean {
  return (c.sendto(fd, buffer, length, msgDontwait, remote, remote.length) as number) === length;
}

/** `errno` of the last call that failed. */
export function lastError(): number {
  return koffi.errno();
}

/** The set of sockets that a worker waits for. */
export class SocketSet {
  readonly #epoll: number;
  readonly #events = Buffer.alloc(eventSize * 512);
  readonly #event = Buffer.alloc(eventSize);

  constructor() {
    this.#epoll = c.epollCreate(0) as number;
    if (this.#epoll < 0) throw new SystemCallFailed('epoll_create1', 'the relay');
  }

  add(fd: number): void {
    this.#event.fill(0);
    this.#event.writeUInt32LE(epollIn, 0);
    this.#event.writeInt32LE(fd, eventDataAt);
    if ((c.epollControl(this.#epoll, epollAdd, fd, this.#event) as number) < 0)
      throw new SystemCallFailed('epoll_ctl', `fd ${fd}`);
  }

  delete(fd: number): void {
    c.epollControl(this.#epoll, epollDelete, fd, this.#event);
  }

  /** Waits up to `timeoutMs` for sockets with something to read; gives how many there are, read by `ready`. */
  wait(timeoutMs: number): number {
    return Math.max(0, c.epollWait(this.#epoll, this.#events, 512, timeoutMs) as number);
  }

  ready(index: number): number {
    return this.#events.readInt32LE(index * eventSize + eventDataAt);
  }

  close(): void {
    c.close(this.#epoll);
  }
}
