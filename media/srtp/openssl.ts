/**
 * The OpenSSL that Node carries, called directly: `createCipheriv` and `createHmac` build an object for every packet and
 * cost some thirty times as much (`npm run -s bench -- srtp`). A context is set up once a key; a packet then costs a new
 * initialisation vector and one pass. The memory of keys is OpenSSL's own and is cleansed when a context is freed.
 */
import koffi from 'koffi';
import { TacetError } from '../../config/errors.ts';

/** A function of OpenSSL refused: wrong key length, no memory. Never the fault of a packet. */
export class CryptoFailed extends TacetError {
  constructor(call: string) {
    super(`OpenSSL: ${call} failed`);
  }
}

/** Of EVP_CIPHER_CTX_ctrl (openssl/evp.h). */
const getTag = 0x10;
const setTag = 0x11;

type Pointer = unknown;

/** Looked up at first use: a plane without SRTP asks nothing of the runtime. */
let loaded: ReturnType<typeof load> | undefined;

function load() {
  const runtime = koffi.load(null);
  const call = (prototype: string) => runtime.func(prototype);
  return {
    cipherNew: call('void *EVP_CIPHER_CTX_new()'),
    cipherFree: call('void EVP_CIPHER_CTX_free(void *context)'),
    cipherByName: call('const void *EVP_get_cipherbyname(const char *name)'),
    cipherInit: call(
      'int EVP_CipherInit_ex(void *context, const void *type, void *engine, const void *key, const void *iv, int encrypt)',
    ),
    cipherControl: call('int EVP_CIPHER_CTX_ctrl(void *context, int command, int number, void *bytes)'),
    // One pass without an out parameter for the length, which EVP_CipherUpdate has and which costs as much as the pass.
    cipherPass: call('int EVP_Cipher(void *context, void *out, const void *in, unsigned int length)'),
    macNew: call('void *HMAC_CTX_new()'),
    macFree: call('void HMAC_CTX_free(void *context)'),
    macInit: call(
      'int HMAC_Init_ex(void *context, const void *key, int length, const void *digest, void *engine)',
    ),
    macUpdate: call('int HMAC_Update(void *context, const void *bytes, size_t length)'),
    macFinal: call('int HMAC_Final(void *context, void *mac, void *length)'),
    sha1: call('const void *EVP_sha1()'),
  };
}

function openssl(): ReturnType<typeof load> {
  loaded ??= load();
  return loaded;
}

/**
 * Views of a buffer from an offset to its end. Payloads of one buffer begin at few different offsets, and a new view for
 * every packet would be garbage for every packet.
 */
export class Tails {
  #buffer: Uint8Array = new Uint8Array(0);
  #views: (Uint8Array | undefined)[] = [];

  of(buffer: Uint8Array, offset: number): Uint8Array {
    if (offset === 0) return buffer;
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#views = [];
    }
    return (this.#views[offset] ??= buffer.subarray(offset));
  }
}

/** AES for one key and one direction, in place. */
export class PacketCipher implements Disposable {
  readonly #library = openssl();
  readonly #context: Pointer;
  readonly #tails = new Tails();
  #freed = false;

  /** @throws CryptoFailed */
  constructor(cipher: 'ctr' | 'gcm', key: Uint8Array, encrypt: boolean) {
    const type = this.#library.cipherByName(`aes-${key.length * 8}-${cipher}`) as Pointer;
    this.#context = this.#library.cipherNew();
    if (
      type === null ||
      this.#library.cipherInit(this.#context, type, null, key, null, Number(encrypt)) !== 1
    )
      throw new CryptoFailed('EVP_CipherInit_ex');
  }

  /** Counter mode over `length` bytes from `offset`; enciphers and deciphers alike. */
  pass(iv: Uint8Array, packet: Uint8Array, offset: number, length: number): void {
    const bytes = this.#tails.of(packet, offset);
    if (
      this.#library.cipherInit(this.#context, null, null, null, iv, -1) !== 1 ||
      (length > 0 && (this.#library.cipherPass(this.#context, bytes, bytes, length) as number) < 0)
    )
      throw new CryptoFailed('EVP_Cipher');
  }

  /** Enciphers `length` bytes from `offset` and writes their tag of 16 bytes behind them. */
  seal(iv: Uint8Array, associated: Associated, packet: Uint8Array, offset: number, length: number): void {
    this.#begin(iv, associated);
    const bytes = this.#tails.of(packet, offset);
    if (length > 0) this.#library.cipherPass(this.#context, bytes, bytes, length);
    this.#library.cipherPass(this.#context, null, null, 0);
    if (this.#library.cipherControl(this.#context, getTag, 16, this.#tails.of(packet, offset + length)) !== 1)
      throw new CryptoFailed('EVP_CIPHER_CTX_ctrl');
  }

  /** Deciphers `length` bytes from `offset`; false when the 16 bytes at `tagAt` are not their tag. */
  open(
    iv: Uint8Array,
    associated: Associated,
    packet: Uint8Array,
    offset: number,
    length: number,
    tagAt: number,
  ): boolean {
    this.#begin(iv, associated);
    this.#library.cipherControl(this.#context, setTag, 16, this.#tails.of(packet, tagAt));
    const bytes = this.#tails.of(packet, offset);
    if (length > 0) this.#library.cipherPass(this.#context, bytes, bytes, length);
    return (this.#library.cipherPass(this.#context, null, null, 0) as number) >= 0;
  }

  #begin(iv: Uint8Array, { bytes, length }: Associated): void {
    if (
      this.#library.cipherInit(this.#context, null, null, null, iv, -1) !== 1 ||
      (this.#library.cipherPass(this.#context, null, bytes, length) as number) < 0
    )
      throw new CryptoFailed('EVP_CipherInit_ex');
  }

  [Symbol.dispose](): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#library.cipherFree(this.#context);
  }
}

/** Bytes that are authenticated and not enciphered. */
export interface Associated {
  bytes: Uint8Array;
  length: number;
}

/** HMAC-SHA1 for one key. */
export class PacketMac implements Disposable {
  readonly #library = openssl();
  readonly #context: Pointer;
  #freed = false;

  /** @throws CryptoFailed */
  constructor(key: Uint8Array) {
    this.#context = this.#library.macNew();
    if (this.#library.macInit(this.#context, key, key.length, this.#library.sha1(), null) !== 1)
      throw new CryptoFailed('HMAC_Init_ex');
  }

  /** The code of the first `length` bytes, 20 bytes into `mac`. */
  of(packet: Uint8Array, length: number, mac: Uint8Array): void {
    if (
      this.#library.macInit(this.#context, null, 0, null, null) !== 1 ||
      this.#library.macUpdate(this.#context, packet, length) !== 1 ||
      this.#library.macFinal(this.#context, mac, null) !== 1
    )
      throw new CryptoFailed('HMAC_Final');
  }

  [Symbol.dispose](): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#library.macFree(this.#context);
  }
}
