/**
 * SRTP and SRTCP in place (RFC 3711, RFC 6188, RFC 7714): one object for each direction of a side. No allocation for a
 * packet. The caller's buffer must have `largestOverheadBytes` to spare behind the packet.
 */
import { deriveKeys, zeroKeys, type MasterKey } from './keys.ts';
import { PacketCipher, PacketMac, type Associated } from './openssl.ts';
import { guessIndex, ReplayWindow } from './packet-index.ts';
import { largestOverheadBytes, type Suite } from './suites.ts';

/** Whose key, and how its packets are marked with it. */
export interface SrtpTerms {
  suite: Suite;
  key: MasterKey;
  /** Bytes of the master key identifier that the far end puts into its packets (RFC 3711 section 3.1); ours carry none. */
  mkiBytes: number;
}

/** Sources under one key that a receiver tells apart; an honest far end uses one, or two after a transfer. */
const mostSources = 64;
const rtcpHeaderBytes = 8;
const rtcpIndexBytes = 4;
const macBytes = 20;

/** What encrypts the packets of one kind (RTP or RTCP) in one direction. */
class Protection implements Disposable {
  readonly cipher: PacketCipher;
  readonly mac: PacketMac | undefined;
  readonly tagBytes: number;
  readonly #salt: Uint8Array;
  readonly #iv: Uint8Array;
  readonly #ivShift: number;
  readonly #computed = new Uint8Array(macBytes);
  readonly #received = new Uint8Array(macBytes);
  readonly #associated: Associated = { bytes: new Uint8Array(0), length: 0 };

  constructor({ suite, key }: SrtpTerms, kind: 'rtp' | 'rtcp', encrypt: boolean) {
    const keys = deriveKeys(suite, key, kind);
    this.cipher = new PacketCipher(suite.aead ? 'gcm' : 'ctr', keys.encryption, encrypt);
    this.mac = suite.aead ? undefined : new PacketMac(keys.authentication);
    this.tagBytes = kind === 'rtp' ? suite.tagBytes : suite.rtcpTagBytes;
    this.#salt = Uint8Array.from(keys.salt);
    this.#iv = new Uint8Array(suite.aead ? 12 : 16);
    // Counter mode has the SSRC at byte 4 of its vector (section 4.1.1), Galois at byte 2 (RFC 7714 section 8.1).
    this.#ivShift = suite.aead ? 2 : 4;
    zeroKeys(keys);
  }

  /** The vector for a packet: its salt, the SSRC that stands at `ssrcAt`, its index of 48 bits. */
  iv(packet: Uint8Array, ssrcAt: number, index: number): Uint8Array {
    const [iv, salt, at] = [this.#iv, this.#salt, this.#ivShift];
    iv.fill(0);
    for (let byte = 0; byte < 4; byte++) iv[at + byte] = packet[ssrcAt + byte]!;
    const rollovers = Math.floor(index / 0x1_0000);
    iv[at + 4] = rollovers >>> 24;
    iv[at + 5] = rollovers >>> 16;
    iv[at + 6] = rollovers >>> 8;
    iv[at + 7] = rollovers;
    iv[at + 8] = index >>> 8;
    iv[at + 9] = index;
    for (let byte = 0; byte < salt.length; byte++) iv[byte]! ^= salt[byte]!;
    return iv;
  }

  associated(bytes: Uint8Array, length: number): Associated {
    this.#associated.bytes = bytes;
    this.#associated.length = length;
    return this.#associated;
  }

  /** Writes the tag of the first `covered` bytes at `at`. */
  sign(packet: Uint8Array, covered: number, at: number): void {
    this.mac!.of(packet, covered, this.#computed);
    for (let byte = 0; byte < this.tagBytes; byte++) packet[at + byte] = this.#computed[byte]!;
  }

  /** Puts aside the tag that stands at `at`, whose place is needed to compute what it should be. */
  keepTag(packet: Uint8Array, at: number): void {
    for (let byte = 0; byte < this.tagBytes; byte++) this.#received[byte] = packet[at + byte]!;
  }

  /** Whether the tag put aside is that of the first `covered` bytes; takes the same time for each wrong one. */
  verify(packet: Uint8Array, covered: number): boolean {
    this.mac!.of(packet, covered, this.#computed);
    let difference = 0;
    for (let byte = 0; byte < this.tagBytes; byte++)
      difference |= this.#received[byte]! ^ this.#computed[byte]!;
    return difference === 0;
  }

  [Symbol.dispose](): void {
    this.cipher[Symbol.dispose]();
    this.mac?.[Symbol.dispose]();
    for (const bytes of [this.#salt, this.#iv, this.#computed, this.#received]) bytes.fill(0);
  }
}

/** Protects what we send: RTP of one source, and its RTCP. */
export class SrtpSender implements Disposable {
  readonly #rtp: Protection;
  readonly #rtcp: Protection;
  readonly #aead: boolean;
  readonly #sent = new ReplayWindow();
  readonly #word = new Uint8Array(rtcpHeaderBytes + rtcpIndexBytes);
  #rtcpIndex = 0;

  /** The key may be zeroed afterwards. @throws CryptoFailed */
  constructor(terms: SrtpTerms) {
    this.#rtp = new Protection(terms, 'rtp', true);
    this.#rtcp = new Protection(terms, 'rtcp', true);
    this.#aead = terms.suite.aead;
  }

  /**
   * Protects an RTP packet of `length` bytes.
   *
   * @returns its new length; -1 when it must not go out: not RTP, or a number that was sent before, since two packets
   *          under one index would give away their difference (RFC 3711 section 9.1)
   */
  protect(packet: Uint8Array, length: number): number {
    const payload = payloadAt(packet, length);
    if (payload < 0 || length + largestOverheadBytes > packet.length) return -1;
    const index = guessIndex(this.#sent.highest, (packet[2]! << 8) | packet[3]!);
    if (!this.#sent.admits(index)) return -1;
    this.#sent.take(index);
    const iv = this.#rtp.iv(packet, 8, index);
    if (this.#aead) {
      this.#rtp.cipher.seal(iv, this.#rtp.associated(packet, payload), packet, payload, length - payload);
    } else {
      this.#rtp.cipher.pass(iv, packet, payload, length - payload);
      writeWord(packet, length, Math.floor(index / 0x1_0000));
      this.#rtp.sign(packet, length + 4, length);
    }
    return length + this.#rtp.tagBytes;
  }

  /** Protects a compound RTCP packet (section 3.4); its new length, or -1 when it is none. */
  protectRtcp(packet: Uint8Array, length: number): number {
    if (length < rtcpHeaderBytes || length + largestOverheadBytes > packet.length) return -1;
    if (this.#rtcpIndex >= 0x7fff_ffff) return -1;
    const index = ++this.#rtcpIndex;
    const word = (0x8000_0000 | index) >>> 0;
    const iv = this.#rtcp.iv(packet, 4, index);
    const body = length - rtcpHeaderBytes;
    if (this.#aead) {
      const header = this.#word;
      for (let byte = 0; byte < rtcpHeaderBytes; byte++) header[byte] = packet[byte]!;
      writeWord(header, rtcpHeaderBytes, word);
      this.#rtcp.cipher.seal(iv, this.#rtcp.associated(header, header.length), packet, rtcpHeaderBytes, body);
      writeWord(packet, length + this.#rtcp.tagBytes, word);
    } else {
      this.#rtcp.cipher.pass(iv, packet, rtcpHeaderBytes, body);
      writeWord(packet, length, word);
      this.#rtcp.sign(packet, length + rtcpIndexBytes, length + rtcpIndexBytes);
    }
    return length + rtcpIndexBytes + this.#rtcp.tagBytes;
  }

  [Symbol.dispose](): void {
    this.#rtp[Symbol.dispose]();
    this.#rtcp[Symbol.dispose]();
  }
}

/** Takes the protection off what a far end sends. State moves only for packets that were authenticated. */
export class SrtpReceiver implements Disposable {
  readonly #rtp: Protection;
  readonly #rtcp: Protection;
  readonly #aead: boolean;
  readonly #mkiBytes: number;
  readonly #sources = new Map<number, ReplayWindow>();
  readonly #rtcpSources = new Map<number, ReplayWindow>();
  /** Serves to look at the first packet of a source, which has no window until it is authenticated. */
  #fresh = new ReplayWindow();
  readonly #word = new Uint8Array(rtcpHeaderBytes + rtcpIndexBytes);

  /** The key may be zeroed afterwards. @throws CryptoFailed */
  constructor(terms: SrtpTerms) {
    this.#rtp = new Protection(terms, 'rtp', false);
    this.#rtcp = new Protection(terms, 'rtcp', false);
    this.#aead = terms.suite.aead;
    this.#mkiBytes = terms.mkiBytes;
  }

  /**
   * Opens an SRTP packet of `length` bytes.
   *
   * @returns the length of the RTP packet; -1 when it is not authentic or was here before. Its bytes are then spoilt.
   */
  unprotect(packet: Uint8Array, length: number): number {
    const payload = payloadAt(packet, length);
    const { tagBytes } = this.#rtp;
    // The identifier stands before an HMAC's tag (section 3.1), behind that of Galois mode (RFC 7714 section 8.2).
    const end = length - tagBytes - this.#mkiBytes;
    if (payload < 0 || end < payload) return -1;
    const ssrc = readWord(packet, 8);
    const source = this.#sourceOf(this.#sources, ssrc);
    if (source === undefined) return -1;
    const index = guessIndex(source.highest, (packet[2]! << 8) | packet[3]!);
    if (!source.admits(index)) return -1;
    const iv = this.#rtp.iv(packet, 8, index);
    if (this.#aead) {
      const header = this.#rtp.associated(packet, payload);
      if (!this.#rtp.cipher.open(iv, header, packet, payload, end - payload, end)) return -1;
    } else {
      this.#rtp.keepTag(packet, length - tagBytes);
      writeWord(packet, end, Math.floor(index / 0x1_0000));
      if (!this.#rtp.verify(packet, end + 4)) return -1;
      this.#rtp.cipher.pass(iv, packet, payload, end - payload);
    }
    this.#admit(this.#sources, ssrc, source, index);
    return end;
  }

  /** Opens an SRTCP packet; the length of the compound RTCP packet, or -1. */
  unprotectRtcp(packet: Uint8Array, length: number): number {
    const { tagBytes } = this.#rtcp;
    const trailer = rtcpIndexBytes + tagBytes + this.#mkiBytes;
    const end = length - trailer;
    if (end < rtcpHeaderBytes || length > packet.length) return -1;
    const wordAt = this.#aead ? end + tagBytes : end;
    const word = readWord(packet, wordAt);
    const encrypted = word >>> 31 === 1;
    const index = word & 0x7fff_ffff;
    const ssrc = readWord(packet, 4);
    const source = this.#sourceOf(this.#rtcpSources, ssrc);
    if (source?.admits(index) !== true) return -1;
    const iv = this.#rtcp.iv(packet, 4, index);
    if (this.#aead) {
      if (!this.#openGalois(packet, iv, end, word, encrypted)) return -1;
    } else {
      this.#rtcp.keepTag(packet, length - tagBytes);
      if (!this.#rtcp.verify(packet, end + rtcpIndexBytes)) return -1;
      if (encrypted) this.#rtcp.cipher.pass(iv, packet, rtcpHeaderBytes, end - rtcpHeaderBytes);
    }
    this.#admit(this.#rtcpSources, ssrc, source, index);
    return end;
  }

  /** RFC 7714 sections 9.2 and 9.3: what is not enciphered is authenticated with the index behind it. */
  #openGalois(packet: Uint8Array, iv: Uint8Array, end: number, word: number, encrypted: boolean): boolean {
    const clear = encrypted ? rtcpHeaderBytes : end;
    const header =
      clear + rtcpIndexBytes > this.#word.length ? new Uint8Array(clear + rtcpIndexBytes) : this.#word;
    for (let byte = 0; byte < clear; byte++) header[byte] = packet[byte]!;
    writeWord(header, clear, word);
    const associated = this.#rtcp.associated(header, clear + rtcpIndexBytes);
    return this.#rtcp.cipher.open(iv, associated, packet, clear, end - clear, end);
  }

  #sourceOf(sources: Map<number, ReplayWindow>, ssrc: number): ReplayWindow | undefined {
    return sources.get(ssrc) ?? (sources.size < mostSources ? this.#fresh : undefined);
  }

  #admit(sources: Map<number, ReplayWindow>, ssrc: number, source: ReplayWindow, index: number): void {
    source.take(index);
    if (source !== this.#fresh) return;
    sources.set(ssrc, source);
    this.#fresh = new ReplayWindow();
  }

  [Symbol.dispose](): void {
    this.#rtp[Symbol.dispose]();
    this.#rtcp[Symbol.dispose]();
  }
}

/** Where the part that is enciphered begins: behind CSRCs and header extension (RFC 3711 section 3.1); -1: not RTP. */
function payloadAt(packet: Uint8Array, length: number): number {
  if (length < 12 || length > packet.length || packet[0]! >>> 6 !== 2) return -1;
  let at = 12 + (packet[0]! & 0x0f) * 4;
  if ((packet[0]! & 0x10) !== 0) {
    if (at + 4 > length) return -1;
    at += 4 + ((packet[at + 2]! << 8) | packet[at + 3]!) * 4;
  }
  return at > length ? -1 : at;
}

function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24;
  bytes[at + 1] = word >>> 16;
  bytes[at + 2] = word >>> 8;
  bytes[at + 3] = word;
}

function readWord(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
