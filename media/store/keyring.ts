/**
 * The store's keys. One X25519 pair is the store's own; each recording has a data key, which lies on disk only wrapped to
 * that pair. Destroying the wrapped key destroys every copy of the recording, wherever it was copied to.
 */
import {
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TacetError } from '../../config/errors.ts';
import {
  keyBytes,
  nonce,
  nonceOfFrame,
  publicKeyOf,
  rawOf,
  seal,
  sealingKey,
  tagBytes,
  type SealedFor,
} from '../fork/seal.ts';
import { overwriteAndUnlink, writeDurably } from './durable.ts';

/** The recording's key is gone: nothing of it can be read any more. */
export class KeyDestroyed extends TacetError {
  readonly recording: string;
  constructor(recording: string) {
    super(`recording ${recording}: its key was destroyed; nothing of it can be read`);
    this.recording = recording;
  }
}

/** A sealed box that is not for this store, or was changed. */
export class SealBroken extends TacetError {}

/** Keys of sealed frames that are kept at hand: of as many recordings as an agent may spool at once. */
const rememberedKeys = 4_096;

export class KeyRing {
  readonly #directory: string;
  readonly #private: KeyObject;
  /** Of recordings whose frames lay on an agent's disk, by the agent's half of the agreement. */
  readonly #frameKeys = new Map<string, KeyObject>();
  /** Raw, base64: what agents seal to. */
  readonly publicKey: string;

  constructor(storeDirectory: string) {
    this.#directory = join(storeDirectory, 'keys');
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const path = join(this.#directory, 'store.pem');
    if (!existsSync(path)) {
      const pem = generateKeyPairSync('x25519').privateKey.export({ format: 'pem', type: 'pkcs8' });
      writeDurably(path, Buffer.from(pem), 0o600);
    }
    this.#private = createPrivateKey(readFileSync(path));
    this.publicKey = rawOf(createPublicKey(this.#private)).toString('base64');
  }

  /** @throws SealBroken */
  unseal(box: Uint8Array): Buffer {
    return opened(box, nonce, (ephemeral) => this.#agree(ephemeral, 'tacet sealed box v1'));
  }

  /** A frame that lay on an agent's disk. @throws SealBroken */
  unsealFrame(box: Uint8Array, number: number): Buffer {
    return opened(box, nonceOfFrame(number), (ephemeral) => {
      const name = Buffer.from(ephemeral).toString('base64');
      const known = this.#frameKeys.get(name);
      if (known !== undefined) return known;
      const key = this.#agree(ephemeral, 'tacet sealed frames v1');
      if (this.#frameKeys.size >= rememberedKeys) this.#frameKeys.clear();
      this.#frameKeys.set(name, key);
      return key;
    });
  }

  #agree(ephemeral: Uint8Array, purpose: SealedFor): KeyObject {
    const shared = diffieHellman({ privateKey: this.#private, publicKey: publicKeyOf(ephemeral) });
    return sealingKey(shared, ephemeral, Buffer.from(this.publicKey, 'base64'), purpose);
  }

  /**
   * Makes a recording's data key; it is on stable storage when this returns. A key object, because a cipher begun with bytes
   * costs four times as much (measured on Node 24: 46 us against 12).
   */
  create(recording: string): KeyObject {
    const key = randomBytes(keyBytes);
    writeDurably(this.#path(recording), seal(this.publicKey, key), 0o600);
    return createSecretKey(key);
  }

  /** @throws KeyDestroyed, SealBroken */
  open(recording: string): KeyObject {
    if (!existsSync(this.#path(recording))) throw new KeyDestroyed(recording);
    return createSecretKey(this.unseal(readFileSync(this.#path(recording))));
  }

  has(recording: string): boolean {
    return existsSync(this.#path(recording));
  }

  /** Overwrites and removes the wrapped key. Nothing happens when it is gone already. */
  destroy(recording: string): void {
    const path = this.#path(recording);
    if (existsSync(path)) overwriteAndUnlink(path);
  }

  #path(recording: string): string {
    return join(this.#directory, `${recording}.key`);
  }
}

/** @throws SealBroken */
function opened(box: Uint8Array, once: Buffer, keyFor: (ephemeral: Uint8Array) => KeyObject): Buffer {
  if (box.length < keyBytes + tagBytes) throw new SealBroken(`a sealed box of ${box.length} bytes`);
  const tagAt = box.length - tagBytes;
  try {
    const decipher = createDecipheriv('aes-256-gcm', keyFor(box.subarray(0, keyBytes)), once);
    decipher.setAuthTag(box.subarray(tagAt));
    return Buffer.concat([decipher.update(box.subarray(keyBytes, tagAt)), decipher.final()]);
  } catch {
    throw new SealBroken('a sealed box is not for this store, or was changed');
  }
}
