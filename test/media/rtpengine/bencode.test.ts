import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  BencodeMalformed,
  decodeBencode,
  encodeBencode,
  type BencodeValue,
} from '../../../media/rtpengine/bencode.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

test.each<[string, BencodeValue]>([
  ['i0e', 0],
  ['i-42e', -42],
  ['4:ping', 'ping'],
  ['0:', ''],
  ['3:\u00e2\u0082\u00ac', '€'],
  ['le', []],
  ['l4:pingi7ee', ['ping', 7]],
  ['d7:command4:pinge', { command: 'ping' }],
  ['d6:result2:ok4:tagsd1:adeee', { result: 'ok', tags: { a: {} } }],
])('%s', (text, value) => {
  expect(decodeBencode(bytes(text))).toEqual(value);
  expect(Buffer.from(encodeBencode(value))).toEqual(Buffer.from(text, 'latin1'));
});

test.each([
  '',
  'i',
  'ie',
  'i-0e',
  'i01e',
  'i1.5e',
  'i99999999999999999999e',
  '5:ping',
  '99999999999:a',
  '-1:a',
  'l',
  'd',
  'd1:a',
  'di1ei2ee',
  'x',
  'i1ei2e',
  'l'.repeat(1_000) + 'e'.repeat(1_000),
])('%j is refused', (text) => {
  expect(() => decodeBencode(bytes(text))).toThrow(BencodeMalformed);
});

test('a key that names a prototype is a key like any other', () => {
  const decoded = decodeBencode(bytes('d9:__proto__d5:admini1eee')) as Record<string, unknown>;
  expect(Object.keys(decoded)).toEqual(['__proto__']);
  expect(decoded['admin']).toBeUndefined();
});

const value = fc.letrec<{ value: BencodeValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.maxSafeInteger().map((number) => number + 0),
    fc.string({ unit: 'grapheme' }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 5, noNullPrototype: false }),
  ),
})).value;

test('what was written is read back', () => {
  fc.assert(
    fc.property(value, (written) => {
      expect(decodeBencode(Buffer.from(encodeBencode(written)))).toEqual(written);
    }),
  );
});

test('no bytes do more than be refused', () => {
  const nearly = fc.tuple(value, fc.nat(), fc.nat(255)).map(([written, at, byte]) => {
    const text = Buffer.from(encodeBencode(written));
    text[at % text.length] = byte;
    return text;
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), nearly), (any) => {
      try {
        decodeBencode(any);
      } catch (error) {
        expect(error).toBeInstanceOf(BencodeMalformed);
      }
    }),
    { numRuns: 2_000 },
  );
});
