/**
 * Sealing to the store: whoever has its public key can write, only the store can read (I7). An ephemeral X25519 key
 * agrees with the store's (RFC 7748), HKDF-SHA256 makes a key of it (RFC 5869), AES-256-GCM does the rest.
 */
import {
  createCipheriv,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';

export const keyBytes = 32;
export const tagBytes = 16;
/** The key is used once, so that a fixed nonce is safe. */
export const nonce = Buffer.alloc(12);
/** DER prefix of an X25519 SubjectPublicKeyInfo (RFC 8410 section 4); the raw key follows. */
const spkiPrefix = Buffer.from('302a300506032b656e032100', 'hex');

export function publicKeyOf(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
}

export function rawOf(publicKey: KeyObject): Buffer {
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length);
}

/** What a key is for: a box of its own, or the frames of one recording, each with its number as nonce. */
export type SealedFor = 'tacet sealed box v1' | 'tacet sealed frames v1';

/** The key that both ends come to: bound to both public keys and to its purpose. */
export function sealingKey(
  shared: Buffer,
  ephemeral: Uint8Array,
  recipient: Uint8Array,
  purpose: SealedFor,
): KeyObject {
  const salt = Buffer.concat([ephemeral, recipient]);
  return createSecretKey(Buffer.from(hkdfSync('sha256', shared, salt, purpose, keyBytes)));
}

/** @param to the store's public key, raw, base64 */
export function seal(to: string, bytes: Uint8Array): Uint8Array {
  const { key, ephemeral } = agree(to, 'tacet sealed box v1');
  return box(key, ephemeral, nonce, bytes);
}

/** Seals the frames of one recording: the agreement, which costs more than all else, is made once. */
export class FrameSealer {
  readonly #key: KeyObject;
  readonly #ephemeral: Uint8Array;

  /** @param to the store's public key, raw, base64 */
  constructor(to: string) {
    const { key, ephemeral } = agree(to, 'tacet sealed frames v1');
    this.#key = key;
    this.#ephemeral = ephemeral;
  }

  /** @param number of the frame: never the same for two */
  seal(number: number, bytes: Uint8Array): Uint8Array {
    return box(this.#key, this.#ephemeral, nonceOfFrame(number), bytes);
  }
}

export function nonceOfFrame(number: number): Buffer {
  const own = Buffer.alloc(nonce.length);
  own.writeUIntBE(number, nonce.length - 6, 6);
  return own;
}

function agree(to: string, purpose: SealedFor): { key: KeyObject; ephemeral: Buffer } {
  const recipient = Buffer.from(to, 'base64');
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const ephemeral = rawOf(publicKey);
  const shared = diffieHellman({ privateKey, publicKey: publicKeyOf(recipient) });
  return { key: sealingKey(shared, ephemeral, recipient, purpose), ephemeral };
}

function box(key: KeyObject, ephemeral: Uint8Array, once: Buffer, bytes: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, once);
  return Buffer.concat([ephemeral, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}
