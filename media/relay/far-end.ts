/**
 * A socket of a side and the one far end that may use it: who is heard, and where what we send goes. Once the far end is
 * known for sure the socket is connected to it, and the kernel drops everybody else.
 */
import type { Latching } from './messages.ts';
import * as native from './native.ts';

/** A learned source that has spoken this long without the signalled one is locked for good. */
const learningMs = 1_000;
const eagain = 11;

export class FarEnd {
  readonly fd: number;
  readonly #latching: Latching;
  /** Where it hears, from its SDP. */
  #signalled: Uint8Array | undefined;
  #learned: Uint8Array | undefined;
  #learnedAt = 0;
  /** Where packets for it go: what it signalled, until it was seen to send from elsewhere. */
  #target: Uint8Array | undefined;
  #connected = false;
  /** Whether everything in the socket's queue came after it was connected, so that the kernel has vouched for it. */
  #clean = false;

  constructor(fd: number, latching: Latching) {
    this.fd = fd;
    this.#latching = latching;
  }

  /** The far end is at this address from now on, and nobody else is; the same as before keeps its lock. */
  moveTo(address: string, port: number): void {
    const signalled = native.socketAddress(address, port);
    if (this.#signalled !== undefined && sameBytes(signalled, this.#signalled)) return;
    this.forget();
    this.#signalled = signalled;
    this.#target = signalled;
  }

  /** Nobody may use it. */
  forget(): void {
    if (this.#connected) native.disconnectUdp(this.fd);
    this.#connected = false;
    this.#clean = false;
    this.#signalled = undefined;
    this.#target = undefined;
    this.#learned = undefined;
  }

  /**
   * Next packet into `buffer`: its length, 0 for one that cannot be the far end's, -1 when none is left. Nothing is locked
   * by it until it is `trust`ed.
   */
  receive(buffer: Uint8Array, source: Uint8Array): number {
    const length = native.receiveFrom(this.fd, buffer, source);
    if (length < 0) {
      this.#clean = this.#connected && native.lastError() === eagain;
      return -1;
    }
    return this.#admits(source) ? length : 0;
  }

  /** What came last is the far end's, as far as can be known (under SRTP: it had the key). It is where that came from. */
  trust(source: Uint8Array, now: number): void {
    const signalled = this.#signalled;
    if (this.#connected || signalled === undefined) return;
    if (sameAddress(source, signalled, true)) this.#lock(signalled);
    else if (this.#learned === undefined) {
      this.#learned = source.slice(0, signalled.length);
      this.#learnedAt = now;
      this.#target = this.#learned;
    } else if (now - this.#learnedAt > learningMs) this.#lock(this.#learned);
  }

  /** @returns false when there is nowhere to send to, or the kernel took nothing */
  send(packet: Uint8Array, length: number): boolean {
    if (this.#connected) return native.sendTo(this.fd, packet, length, undefined);
    const target = this.#target;
    return target !== undefined && native.sendTo(this.fd, packet, length, target);
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Whether the kernel vouches for everything that the socket hands over. */
  get vouched(): boolean {
    return this.#clean;
  }

  #admits(source: Uint8Array): boolean {
    const signalled = this.#signalled;
    if (signalled === undefined) return false;
    if (this.#clean) return true;
    if (this.#connected) return sameAddress(source, this.#target ?? signalled, true);
    if (sameAddress(source, signalled, true)) return true;
    if (this.#latching !== 'address' || !sameAddress(source, signalled, false)) return false;
    return this.#learned === undefined || sameAddress(source, this.#learned, true);
  }

  #lock(remote: Uint8Array): void {
    this.#target = remote;
    this.#connected = native.connectUdp(this.fd, remote);
    this.#clean = false;
  }
}

/** Compares two `sockaddr`s by family and address, and by port if asked. */
function sameAddress(a: Uint8Array, b: Uint8Array, portToo: boolean): boolean {
  if (a[0] !== b[0] || a[1] !== b[1]) return false;
  if (portToo && (a[2] !== b[2] || a[3] !== b[3])) return false;
  const [from, to] = b.length === 16 ? [4, 8] : [8, 24];
  for (let at = from; at < to; at++) if (a[at] !== b[at]) return false;
  return true;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
