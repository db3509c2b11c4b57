import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchMalformed, BatchWriter, decodeBatch } from '../../../media/fork/batch.ts';
import type { EpochMicros, Side } from '../../../config/units.ts';

const packets = fc.array(
  fc.record({
    sequence: fc.nat(0xffff_ffff),
    side: fc.constantFrom<Side>('caller', 'agent'),
    arrivedAt: fc.maxSafeNat().map((micros) => micros as EpochMicros),
    rtp: fc.uint8Array({ maxLength: 200 }),
  }),
  { maxLength: 40 },
);

describe('a batch of RTP copies', () => {
  test('is these bytes', () => {
    const writer = new BatchWriter();
    const received = Uint8Array.of(0xff, 0x80, 0x08, 0x01, 0xff);
    expect(writer.append(0x0102_0304, 'agent', 2 ** 40 + 5, received, 1, 3)).toBe(true);
    expect(writer.append(1, 'caller', 7, received, 0, 1)).toBe(true);
    const batch = writer.take();
    expect(Buffer.from(batch).toString('hex')).toBe(
      '01' +
        '01020304' +
        '01' +
        '0000010000000005' +
        '0003' +
        '800801' +
        '00000001' +
        '00' +
        '0000000000000007' +
        '0001' +
        'ff',
    );
  });

  test('gives back whatever was written', () => {
    fc.assert(
      fc.property(packets, (written) => {
        const writer = new BatchWriter();
        for (const { sequence, side, arrivedAt, rtp } of written) {
          expect(writer.append(sequence, side, arrivedAt, rtp, 0, rtp.length)).toBe(true);
        }
        expect(writer.count).toBe(written.length);
        const { size } = writer;
        const batch = writer.take();
        expect(batch.length).toBe(size);
        expect(decodeBatch(batch)).toEqual(written);
        expect(writer.count).toBe(0);
        expect(decodeBatch(writer.take())).toEqual([]);
      }),
    );
  });

  test('refuses the packet that does not fit and keeps the others whole', () => {
    const writer = new BatchWriter(1 + 15 + 160);
    const packet = new Uint8Array(160).fill(0xd5);
    expect(writer.append(0, 'caller', 1, packet, 0, 160)).toBe(true);
    expect(writer.append(1, 'caller', 2, packet, 0, 0)).toBe(false);
    expect(decodeBatch(writer.take()).map(({ sequence }) => sequence)).toEqual([0]);
    expect(writer.append(1, 'caller', 2, packet, 0, 160)).toBe(true);
    expect(new BatchWriter(1 << 20).append(0, 'caller', 1, new Uint8Array(70_000), 0, 65_536)).toBe(false);
  });

  test('taken has memory of its own: it can be given away while the next is written', () => {
    const writer = new BatchWriter();
    writer.append(1, 'caller', 1, Uint8Array.of(1), 0, 1);
    const first = writer.take();
    writer.append(2, 'agent', 2, Uint8Array.of(2), 0, 1);
    expect(first.buffer.byteLength).toBe(first.length);
    expect(decodeBatch(structuredClone(first, { transfer: [first.buffer] }))[0]!.sequence).toBe(1);
    expect(decodeBatch(writer.take())[0]!.sequence).toBe(2);
  });

  test.each([
    ['nothing', ''],
    ['another version', '02'],
    ['a header cut short', '0100000001'],
    ['a packet cut short', '0100000001000000000000000700020a'],
    ['a third side', '010000000102000000000000000700010a'],
    ['an arrival that no clock gives', '010000000100ffffffffffffffff00010a'],
  ])('with %s is malformed', (_what, hex) => {
    expect(() => decodeBatch(Buffer.from(hex, 'hex'))).toThrow(BatchMalformed);
  });

  test('of any bytes either decodes or is malformed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        bytes[0] = 1;
        try {
          decodeBatch(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(BatchMalformed);
        }
      }),
    );
  });
});
