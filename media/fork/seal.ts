/**
 * Sealing to the store: whoever has its public key can write, only the store can read (I7). An ephemeral X25519 key
 * agrees with the store's (RFC 7748), HKDF-SHA256 makes a key of it (RFC 5869), AES-256-GCM does the rest.
 */
import {
  createCipheriv,
  createPublicKey,
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

/** The key that both ends come to: bound to both public keys. */
export function sealingKey(shared: Buffer, ephemeral: Uint8Array, recipient: Uint8Array): Buffer {
  return Buffer.from(
    hkdfSync('sha256', shared, Buffer.concat([ephemeral, recipient]), 'tacet sealed box v1', keyBytes),
  );
}

/** @param to the store's public key, raw, base64 */
export function seal(to: string, bytes: Uint8Array): Uint8Array {
  const recipient = Buffer.from(to, 'base64');
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const ephemeral = rawOf(publicKey);
  const shared = diffieHellman({ privateKey, publicKey: publicKeyOf(recipient) });
  const cipher = createCipheriv('aes-256-gcm', sealingKey(shared, ephemeral, recipient), nonce);
  return Buffer.concat([ephemeral, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}
