/**
 * The few calls of the operating system that the relay lives on, through koffi: Node's own datagram sockets cost two to
 * three times as much per packet. Linux only. Every call is non-blocking except `wait`. A call through
 * koffi costs a tenth of a microsecond over the system call itself; what is dear is the call, so none is made that is not needed.
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
  recv: libc.func('int recv(int fd, intptr_t buffer, int length, int flags)'),
  recvfrom: libc.func(
    'long recvfrom(int fd, void *buffer, size_t length, int flags, void *address, void *addressLength)',
  ),
  send: libc.func('int send(int fd, intptr_t buffer, int length, int flags)'),
  sendto: libc.func(
    'long sendto(int fd, const void *buffer, size_t length, int flags, const void *address, uint32_t addressLength)',
  ),
  close: libc.func('int close(int fd)'),
  epollCreate: libc.func('int epoll_create1(int flags)'),
  epollControl: libc.func('int epoll_ctl(int epoll, int operation, int fd, void *event)'),
  epollWait: libc.func('int epoll_wait(int epoll, void *events, int size, int timeoutMs)'),
  eventfd: libc.func('int eventfd(unsigned int initial, int flags)'),
  read: libc.func('long read(int fd, void *buffer, size_t length)'),
  write: libc.func('long write(int fd, const void *buffer, size_t length)'),
};

const afInet = 2;
const afInet6 = 10;
const sockDgram = 2;
const sockNonblockCloexec = 0o4000 | 0o2000000;
const msgDontwait = 0x40;
const epollCloexec = 0o2000000;
const epollAdd = 1;
const epollDelete = 2;
const epollIn = 1;
// struct epoll_event is packed on x86-64 only (epoll_ctl(2)).
const eventWords = process.arch === 'x64' ? 3 : 4;
const tagWord = process.arch === 'x64' ? 1 : 2;
const eventsAtOnce = 1_024;
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

/** Opens RTP and RTCP sockets on an even port and the odd one above (RFC 3550 section 11). @throws SystemCallFailed */
export function openPair(address: string, port: number): { rtp: number; rtcp: number } {
  const rtp = openUdp(address, port);
  try {
    return { rtp, rtcp: openUdp(address, port + 1) };
  } catch (error) {
    closeSocket(rtp);
    throw error;
  }
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

/** Memory for one datagram. Its address is asked for once: koffi would look into the array at every call. */
export class PacketMemory {
  /** Shared memory is never moved. */
  readonly bytes = new Uint8Array(new SharedArrayBuffer(largestPacket));
  readonly address = Number(koffi.address(this.bytes));
}

/** Receives a datagram; bytes, or -1 when nothing is there (or an ICMP error was). */
export function receiveConnected(fd: number, packet: PacketMemory): number {
  return c.recv(fd, packet.address, largestPacket, msgDontwait) as number;
}

const addressLength = new Uint32Array(1);

/** Receives into `buffer` and the source into `source` (28 bytes). */
export function receiveFrom(fd: number, buffer: Uint8Array, source: Uint8Array): number {
  addressLength[0] = 28;
  return c.recvfrom(fd, buffer, largestPacket, msgDontwait, source, addressLength) as number;
}

export function sendConnected(fd: number, packet: PacketMemory, length: number): boolean {
  return (c.send(fd, packet.address, length, msgDontwait) as number) === length;
}

/** `remote` undefined: to where the socket is connected. */
export function sendTo(
  fd: number,
  buffer: Uint8Array,
  length: number,
  remote: Uint8Array | undefined,
): boolean {
  return (c.sendto(fd, buffer, length, msgDontwait, remote, remote?.length ?? 0) as number) === length;
}

/** `errno` of the last call that failed. */
export function lastError(): number {
  return koffi.errno();
}

/** Wakes a thread that waits in a `SocketSet`, from another thread. */
export class Bell {
  readonly fd: number;
  readonly #counter = new BigUint64Array(1);

  /** @param fd of a bell that another thread hung; without it a new one is hung */
  constructor(fd?: number) {
    this.fd = fd ?? (c.eventfd(0, sockNonblockCloexec) as number);
    if (this.fd < 0) throw new SystemCallFailed('eventfd', 'a media worker');
  }

  ring(): void {
    this.#counter[0] = 1n;
    c.write(this.fd, this.#counter, 8);
  }

  /** Makes a bell that was rung silent again. */
  still(): void {
    c.read(this.fd, this.#counter, 8);
  }

  close(): void {
    c.close(this.fd);
  }
}

/** File descriptor of an empty `SocketSet`. */
export function openEpoll(): number {
  const epoll = c.epollCreate(epollCloexec) as number;
  if (epoll < 0) throw new SystemCallFailed('epoll_create1', 'a media worker');
  return epoll;
}

/** The set of sockets that a worker waits for. Each has a tag of the worker's own: an index, so that no map is asked for a packet. */
export class SocketSet {
  readonly #epoll: number;
  readonly #events = new Int32Array(eventWords * eventsAtOnce);
  readonly #event = new Int32Array(eventWords);

  /** @param epoll of a set that another thread made (`openEpoll`), and closes */
  constructor(epoll: number) {
    this.#epoll = epoll;
  }

  add(fd: number, tag: number): void {
    this.#event[0] = epollIn;
    this.#event[tagWord] = tag;
    if ((c.epollControl(this.#epoll, epollAdd, fd, this.#event) as number) < 0)
      throw new SystemCallFailed('epoll_ctl', `fd ${fd}`);
  }

  delete(fd: number): void {
    c.epollControl(this.#epoll, epollDelete, fd, this.#event);
  }

  /** Waits up to `timeoutMs` for sockets with something to read; gives how many there are, named by `ready`. */
  wait(timeoutMs: number): number {
    const ready = c.epollWait(this.#epoll, this.#events, eventsAtOnce, timeoutMs) as number;
    return ready < 0 ? 0 : ready;
  }

  /** Tag of the n-th socket that `wait` found. */
  ready(index: number): number {
    return this.#events[index * eventWords + tagWord]!;
  }
}
