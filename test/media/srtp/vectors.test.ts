import { createCipheriv } from 'node:crypto';
import { expect, test } from 'vitest';
import { deriveKeys, MasterKey } from '../../../media/srtp/keys.ts';
import { PacketCipher } from '../../../media/srtp/openssl.ts';
import { SrtpReceiver, SrtpSender } from '../../../media/srtp/srtp.ts';
import { suites, type SuiteName } from '../../../media/srtp/suites.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/gu, ''), 'hex'));
const hex = (some: Uint8Array): string => Buffer.from(some).toString('hex');

test('counter mode gives the key stream of RFC 3711 appendix B.2', () => {
  using cipher = new PacketCipher('ctr', bytes('2B7E151628AED2A6ABF7158809CF4F3C'), true);
  const packet = new Uint8Array(4 + 48);
  cipher.pass(bytes('F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000'), packet, 4, 48);
  expect(hex(packet)).toBe(
    '00000000e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0',
  );
});

test('keys are derived as in RFC 3711 appendix B.3', () => {
  const master = MasterKey.take(bytes('E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6'));
  const { encryption, authentication, salt } = deriveKeys(suites.AES_CM_128_HMAC_SHA1_80, master, 'rtp');
  expect(hex(encryption)).toBe('c61e7a93744f39ee10734afe3ff7a087');
  expect(hex(salt)).toBe('30cbbc08863d8c85d49db34a9ae1');
  expect(hex(authentication)).toBe('cebe321f6ff7716b6fd4ab49af256a156d38baa4');
});

test('keys of 256 bits are derived as in RFC 6188 section 7.2', () => {
  const master = MasterKey.take(
    bytes('f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6 3b04803de51ee7c96423ab5b78d2'),
  );
  const { encryption, authentication, salt } = deriveKeys(suites.AES_256_CM_HMAC_SHA1_80, master, 'rtp');
  expect(hex(encryption)).toBe('5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4');
  expect(hex(salt)).toBe('fa31791685ca444a9e07c6c64e93');
  expect(hex(authentication)).toBe('fd9c32d39ed5fbb5a9dc96b30818454d1313dc05');
});

/**
 * A master key from which the session keys of a vector are derived cannot be had, so the vectors of RFC 7714 are held
 * against the cipher as the sender uses it: same vector, same associated bytes.
 */
const gallia =
  '8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573';

test.each([
  [
    '16.1',
    '000102030405060708090a0b0c0d0e0f',
    'f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce',
  ],
  [
    '16.2',
    '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    '32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13',
  ],
])('Galois mode seals and opens as in RFC 7714 section %s', (_section, key, sealed) => {
  const iv = bytes('51753c6580c2726f20718414');
  const packet = new Uint8Array(128);
  packet.set(bytes(gallia));
  const length = gallia.length / 2 - 12;
  using sealing = new PacketCipher('gcm', bytes(key), true);
  sealing.seal(iv, { bytes: packet, length: 12 }, packet, 12, length);
  expect(hex(packet.subarray(12, 12 + length + 16))).toBe(sealed);
  using opening = new PacketCipher('gcm', bytes(key), false);
  expect(opening.open(iv, { bytes: packet, length: 12 }, packet, 12, length, 12 + length)).toBe(true);
  expect(hex(packet.subarray(0, 12 + length))).toBe(gallia);
});

/** The packets by which libsrtp, the reference implementation, validates itself (its test driver). */
const reference = '800f1234decafbadcafebabe' + 'ab'.repeat(16);

test.each<[SuiteName, string, string]>([
  [
    'AES_CM_128_HMAC_SHA1_80',
    'e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6',
    '800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb',
  ],
])('%s protects as the reference implementation does', (name, key, expected) => {
  const terms = { suite: suites[name], key: MasterKey.take(bytes(key)), mkiBytes: 0 };
  using sender = new SrtpSender(terms);
  using receiver = new SrtpReceiver(terms);
  const packet = new Uint8Array(128);
  packet.set(bytes(reference));
  const length = sender.protect(packet, reference.length / 2);
  expect(hex(packet.subarray(0, length))).toBe(expected);
  expect(receiver.unprotect(packet, length)).toBe(reference.length / 2);
  expect(hex(packet.subarray(0, reference.length / 2))).toBe(reference);
});

/**
 * RFC 7714 section 17 gives session keys too. A sender whose derived keys these are is built by undoing nothing: the
 * control packet is sealed by hand with node's own Galois mode, and must open.
 */
test.each<SuiteName>(['AEAD_AES_128_GCM', 'AEAD_AES_256_GCM'])(
  '%s: a control packet laid out as in RFC 7714 section 9 opens, enciphered or only authenticated',
  (name) => {
    const suite = suites[name];
    const key = MasterKey.take(Uint8Array.from({ length: suite.keyBytes + 12 }, (_, at) => at));
    const { encryption, salt } = deriveKeys(suite, key, 'rtcp');
    const rtcp = bytes(
      '81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61' + 'deadbeef'.repeat(5),
    );
    const iv = Uint8Array.from(
      [0, 0, ...rtcp.subarray(4, 8), 0, 0, 0, 0, 0x05, 0xd4],
      (byte, at) => byte ^ salt[at]!,
    );
    const algorithm = suite.keyBytes === 16 ? 'aes-128-gcm' : 'aes-256-gcm';
    for (const encrypted of [true, false]) {
      const word = bytes(encrypted ? '800005d4' : '000005d4');
      const clear = encrypted ? 8 : rtcp.length;
      const sealing = createCipheriv(algorithm, encryption, iv);
      sealing.setAAD(Buffer.concat([rtcp.subarray(0, clear), word]));
      const body = Buffer.concat([sealing.update(rtcp.subarray(clear)), sealing.final()]);
      const packet = Uint8Array.from([...rtcp.subarray(0, clear), ...body, ...sealing.getAuthTag(), ...word]);
      using receiver = new SrtpReceiver({ suite, key, mkiBytes: 0 });
      expect(receiver.unprotectRtcp(packet, packet.length)).toBe(rtcp.length);
      expect(hex(packet.subarray(0, rtcp.length))).toBe(hex(rtcp));
    }
  },
);
