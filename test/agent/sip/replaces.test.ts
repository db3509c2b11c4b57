import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readReferTo, readReplaces, writeReferTo, writeReplaces } from '../../../agent/sip/replaces.ts';

const dialog = { callId: 'a@b', toTag: '1', fromTag: '2', earlyOnly: false };

test.each([
  ['a@b;to-tag=1;from-tag=2', dialog],
  ['a@b ; From-Tag=2 ; to-tag=1;early-only', { ...dialog, earlyOnly: true }],
  ['a@b;to-tag=1', undefined],
  [';to-tag=1;from-tag=2', undefined],
  ['', undefined],
])('Replaces %j names %j', (value, expected) => {
  expect(readReplaces(value)).toEqual(expected);
});

test.each([
  ['<sip:200@192.0.2.1>', { uri: 'sip:200@192.0.2.1', replaces: undefined }],
  ['sip:200@192.0.2.1;method=INVITE', { uri: 'sip:200@192.0.2.1', replaces: undefined }],
  ['"Ann" <sip:200@x;user=phone>;y', { uri: 'sip:200@x;user=phone', replaces: undefined }],
  ['<tel:+33123>', { uri: 'tel:+33123', replaces: undefined }],
  [
    '<sip:200@x?Subject=hi&replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>',
    { uri: 'sip:200@x', replaces: dialog },
  ],
  ['<sip:200@x?Replaces=%E0%A4%A>', { uri: 'sip:200@x', replaces: undefined }],
  ['<http://x>', undefined],
  ['<sip:200', undefined],
  ['', undefined],
])('Refer-To %j asks for %j', (value, expected) => {
  expect(readReferTo(value)).toEqual(expected);
});

test('for any dialog: what is written is read again', () => {
  const word = fc.stringMatching(/^[A-Za-z0-9@.!%*_+`'~-]{1,20}$/u);
  fc.assert(
    fc.property(word, word, word, fc.boolean(), (callId, toTag, fromTag, earlyOnly) => {
      const replaces = { callId, toTag, fromTag, earlyOnly };
      expect(readReplaces(writeReplaces(replaces))).toEqual(replaces);
      expect(readReferTo(writeReferTo({ uri: 'sip:x@y', replaces }))).toEqual({ uri: 'sip:x@y', replaces });
    }),
  );
});
