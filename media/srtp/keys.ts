/** SRTP's keys: the master key that SDP carries, and what is derived from it (RFC 3711 section 4.3). */
import { createCipheriv } from 'node:crypto';
import type { Suite } from './suites.ts';

/**
 * A master key and its salt. Lives in shared memory, so that handing it to a media worker leaves no copy behind, and
 * shows itself to nobody: not in JSON, not in a log line, not in an error.
 */
export class MasterKey {
  readonly #bytes: Uint8Array<SharedArrayBuffer>;

  private constructor(bytes: Uint8Array<SharedArrayBuffer>) {
    this.#bytes = bytes;
  }

  /** Takes the bytes over: the original is zeroed. */
  static take(bytes: Uint8Array): MasterKey {
    const own = new Uint8Array(new SharedArrayBuffer(bytes.length));
    own.set(bytes);
    bytes.fill(0);
    return new MasterKey(own);
  }

  /** A key that a worker was handed; both ends see the same memory. */
  static over(memory: SharedArrayBuffer): MasterKey {
    return new MasterKey(new Uint8Array(memory));
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes themselves, for a worker or for SDP. */
  get memory(): SharedArrayBuffer {
    return this.#bytes.buffer;
  }

  equals(other: MasterKey): boolean {
    return this.length === other.length && this.#bytes.every((byte, at) => other.#bytes[at] === byte);
  }

  /** Forgets the key. */
  zero(): void {
    this.#bytes.fill(0);
  }

  toJSON(): string {
    return '[key]';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[key]';
  }
}

/** The keys that packets of one kind (RTP or RTCP) are protected with. */
export interface SessionKeys {
  encryption: Uint8Array;
  /** Empty for a suite that authenticates by itself. */
  authentication: Uint8Array;
  salt: Uint8Array;
}

/** First label of each kind; authentication and salt follow (section 4.3.2). */
const firstLabel = { rtp: 0, rtcp: 3 } as const;
const authenticationBytes = 20;

/** Derives the session keys, with a key derivation rate of nought (section 4.3.1, RFC 7714 section 11). */
export function deriveKeys(suite: Suite, master: MasterKey, kind: 'rtp' | 'rtcp'): SessionKeys {
  const bytes = new Uint8Array(master.memory);
  const label = firstLabel[kind];
  const derive = (offset: number, length: number): Uint8Array => {
    const start = new Uint8Array(16);
    // A salt of 12 bytes is filled up with noughts at its end (RFC 7714 section 11).
    start.set(bytes.subarray(suite.keyBytes, suite.keyBytes + suite.saltBytes));
    start[7]! ^= label + offset;
    const key = Uint8Array.from(bytes.subarray(0, suite.keyBytes));
    try {
      return createCipheriv(`aes-${suite.keyBytes * 8}-ctr`, key, start).update(new Uint8Array(length));
    } finally {
      key.fill(0);
      start.fill(0);
    }
  };
  return {
    encryption: derive(0, suite.keyBytes),
    authentication: suite.aead ? new Uint8Array(0) : derive(1, authenticationBytes),
    salt: derive(2, suite.saltBytes),
  };
}

export function zeroKeys({ encryption, authentication, salt }: SessionKeys): void {
  for (const bytes of [encryption, authentication, salt]) bytes.fill(0);
}
