import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCrypto, writeCrypto } from '../../../media/sdp/crypto.ts';
import { suites } from '../../../media/srtp/suites.ts';

const key30 = Buffer.alloc(30, 5).toString('base64');
const key28 = Buffer.alloc(28, 6).toString('base64');
const line = (value: string) => readCrypto([{ type: 'a', value: `crypto:${value}` }]);

test.each([
  ['the plain form', `1 AES_CM_128_HMAC_SHA1_80 inline:${key30}`, { tag: 1, mkiBytes: 0 }],
  ['a lifetime as a power', `2 AES_CM_128_HMAC_SHA1_32 inline:${key30}|2^20`, { tag: 2, mkiBytes: 0 }],
  ['a lifetime in digits', `2 AES_CM_128_HMAC_SHA1_32 inline:${key30}|1048576`, { mkiBytes: 0 }],
  ['lifetime and key identifier', `1 AES_CM_128_HMAC_SHA1_80 inline:${key30}|2^20|1:4`, { mkiBytes: 4 }],
  ['a key identifier alone', `1 AES_CM_128_HMAC_SHA1_80 inline:${key30}|1:32`, { mkiBytes: 32 }],
  ['a base64 without its padding', `7 AEAD_AES_128_GCM inline:${key28.replaceAll('=', '')}`, { tag: 7 }],
  ['a window hint', `1 AEAD_AES_128_GCM inline:${key28} WSH=128`, { tag: 1 }],
])('%s is read', (_name, value, expected) => {
  expect(line(value)).toMatchObject([expected]);
});

test.each([
  ['a suite of others', `1 F8_128_HMAC_SHA1_80 inline:${key30}`],
  ['a key of the wrong length', `1 AEAD_AES_128_GCM inline:${key30}`],
  ['no key', '1 AES_CM_128_HMAC_SHA1_80'],
  ['another key method', `1 AES_CM_128_HMAC_SHA1_80 uri:${key30}`],
  ['several keys', `1 AES_CM_128_HMAC_SHA1_80 inline:${key30}|2^20|1:4;inline:${key30}|2^20|2:4`],
  ['RTP that is not to be encrypted', `1 AES_CM_128_HMAC_SHA1_80 inline:${key30} UNENCRYPTED_SRTP`],
  ['RTP that is not to be authenticated', `1 AES_CM_128_HMAC_SHA1_80 inline:${key30} UNAUTHENTICATED_SRTP`],
  ['keys that are derived anew', `1 AES_CM_128_HMAC_SHA1_80 inline:${key30} KDR=20`],
  ['an identifier of no bytes', `1 AES_CM_128_HMAC_SHA1_80 inline:${key30}|1:0`],
  ['a tag that is none', `x AES_CM_128_HMAC_SHA1_80 inline:${key30}`],
])('%s is passed over', (_name, value) => {
  expect(line(value)).toEqual([]);
});

test('lines keep the order of their writer, and what we write reads back', () => {
  const [first, second] = [
    line(`3 AES_CM_128_HMAC_SHA1_32 inline:${key30}`)[0]!,
    line(`1 AEAD_AES_128_GCM inline:${key28}`)[0]!,
  ];
  const read = readCrypto([first, second].map((each) => ({ type: 'a', value: writeCrypto(each) })));
  expect(read.map(({ tag, suite }) => [tag, suite])).toEqual([
    [3, suites.AES_CM_128_HMAC_SHA1_32],
    [1, suites.AEAD_AES_128_GCM],
  ]);
  expect(read[0]!.key.equals(first.key)).toBe(true);
});

test('whatever stands in a line is read or passed over', () => {
  const good = `1 AES_CM_128_HMAC_SHA1_80 inline:${key30}|2^20|1:4 WSH=64`;
  const part = fc.oneof(fc.string(), fc.constantFrom('|', ';', 'inline:', ' ', '=', ':', '2^'));
  fc.assert(
    fc.property(fc.nat(good.length), fc.nat(20), part, (at, cut, put) => {
      for (const { mkiBytes } of line(good.slice(0, at) + put + good.slice(at + cut)))
        expect(mkiBytes).toBeLessThanOrEqual(128);
    }),
    { numRuns: 3_000 },
  );
});
