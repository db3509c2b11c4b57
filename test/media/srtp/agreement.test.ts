import { expect, test } from 'vitest';
import { readCrypto, writeCrypto, type CryptoLine } from '../../../media/sdp/crypto.ts';
import { KeyChain } from '../../../media/srtp/agreement.ts';
import { suites, type SuiteName } from '../../../media/srtp/suites.ts';

function theirs(seed: number, ...names: SuiteName[]): CryptoLine[] {
  return names.flatMap((name, at) => {
    const key = Buffer.alloc(suites[name].keyBytes + suites[name].saltBytes, seed).toString('base64');
    return readCrypto([{ type: 'a', value: `crypto:${at + 1} ${name} inline:${key}` }]);
  });
}

/** As it goes over the wire. */
function sent(line: CryptoLine, tag = line.tag): CryptoLine[] {
  return readCrypto([{ type: 'a', value: writeCrypto({ ...line, tag }) }]);
}

test('an offer is answered with its first line that is ours, under its tag, with a key of our own', () => {
  using keys = new KeyChain();
  const agreed = keys.answer(theirs(1, 'AEAD_AES_128_GCM', 'AES_CM_128_HMAC_SHA1_80'), undefined)!;
  expect(agreed).toMatchObject({ tag: 1, suite: suites.AEAD_AES_128_GCM });
  expect(agreed.own.equals(agreed.theirs)).toBe(false);
  expect(keys.answer([], undefined)).toBeUndefined();
});

test('the same key again keeps ours; a new one gets a new one, since it may be another telephone', () => {
  using keys = new KeyChain();
  const first = keys.answer(theirs(1, 'AES_CM_128_HMAC_SHA1_80'), undefined)!;
  const again = keys.answer(theirs(1, 'AES_CM_128_HMAC_SHA1_80'), first)!;
  expect([again.own, again.theirs]).toEqual([first.own, first.theirs]);
  expect(again.own).toBe(first.own);
  const other = keys.answer(theirs(2, 'AES_CM_128_HMAC_SHA1_80'), again)!;
  expect(other.own.equals(first.own)).toBe(false);
});

test('of our offer the far end may choose one line, by its tag and its suite', () => {
  using keys = new KeyChain();
  const offered = keys.offer(undefined);
  expect(offered.map(({ tag }) => tag)).toEqual([1, 2, 3, 4]);
  expect(keys.offer(undefined)).toEqual(offered);
  const agreed = keys.accept(sent(theirs(3, 'AES_CM_128_HMAC_SHA1_80')[0]!, 3), undefined)!;
  expect(agreed.own).toBe(offered[2]!.key);
  expect(keys.accept(theirs(3, 'AES_CM_128_HMAC_SHA1_80'), undefined)).toBeUndefined();
  expect(keys.accept([], undefined)).toBeUndefined();
});

test('an agreement that stands is offered again with its key', () => {
  using keys = new KeyChain();
  const agreed = keys.answer(theirs(1, 'AEAD_AES_256_GCM'), undefined)!;
  expect(keys.offer(agreed)).toMatchObject([{ tag: 1, suite: suites.AEAD_AES_256_GCM }]);
  const answer = theirs(1, 'AEAD_AES_256_GCM');
  const after = keys.accept(answer, agreed)!;
  expect(after.own).toBe(agreed.own);
  expect(after.theirs).toBe(agreed.theirs);
});

test('every key that was ever seen is zeroed at the end', () => {
  const keys = new KeyChain();
  const agreed = keys.answer(theirs(1, 'AES_CM_128_HMAC_SHA1_80'), undefined)!;
  const offered = keys.offer(undefined);
  keys[Symbol.dispose]();
  for (const key of [agreed.own, agreed.theirs, ...offered.map((line) => line.key)])
    expect(new Uint8Array(key.memory).every((byte) => byte === 0)).toBe(true);
});
