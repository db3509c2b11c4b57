import fc from 'fast-check';
import { expect, test } from 'vitest';
import { newRtpHeader, readRtp } from '../../../media/rtp/packet.ts';
import { changeSource, placePacket, startStream, streamWords } from '../../../media/rtp/stream.ts';
import { rewriteRtcp } from '../../../media/rtp/rtcp.ts';
import { TelephoneEventReceiver } from '../../../media/dtmf/telephone-event.ts';

/** A stream with memory of its own. */
function newStream() {
  const words = new Float64Array(streamWords.size);
  startStream(words, 0);
  return {
    startSource: () => changeSource(words, 0),
    next: (sequence: number, timestamp: number, now: number) => {
      placePacket(words, 0, sequence, timestamp, now);
      return { sequence: words[streamWords.sequence]!, timestamp: words[streamWords.timestamp]! };
    },
  };
}

test('over any changes of source the stream has no hole, no step back, and keeps real time', () => {
  const source = fc.record({
    sequence: fc.nat(65_535),
    timestamp: fc.nat(2 ** 32 - 1),
    packets: fc.integer({ min: 1, max: 40 }),
    pauseMs: fc.nat(3_000),
  });
  fc.assert(
    fc.property(fc.array(source, { minLength: 1, maxLength: 6 }), (sources) => {
      const stream = newStream();
      let now = 0;
      let last: { sequence: number; timestamp: number; now: number } | undefined;
      for (const { sequence, timestamp, packets, pauseMs } of sources) {
        now += pauseMs;
        stream.startSource();
        for (let packet = 0; packet < packets; packet++, now += 20) {
          const placed = stream.next((sequence + packet) & 0xffff, (timestamp + packet * 160) >>> 0, now);
          if (last !== undefined) {
            expect(placed.sequence).toBe((last.sequence + 1) & 0xffff);
            const step = (placed.timestamp - last.timestamp) >>> 0;
            expect(Math.abs(step - Math.max(1, (now - last.now) * 8))).toBeLessThanOrEqual(1);
          }
          last = { ...placed, now };
        }
      }
    }),
  );
});

test('a loss at the source stays a loss, a late packet keeps its place', () => {
  const stream = newStream();
  stream.startSource();
  const out = [10, 11, 13, 12, 14].map((sequence) => {
    return stream.next(sequence, sequence * 160, sequence * 20).sequence;
  });
  expect(out.map((sequence) => (sequence - out[0]!) & 0xffff)).toEqual([0, 1, 3, 2, 4]);
});

test('whatever arrives on an RTP port is read within its bounds or refused', () => {
  const header = newRtpHeader();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      if (!readRtp(bytes, bytes.length, header)) return;
      expect(header.payloadOffset + header.payloadLength).toBeLessThanOrEqual(bytes.length);
      expect(header.payloadLength).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 5_000 },
  );
});

test('whatever arrives as RTCP crosses within its bounds', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      const length = rewriteRtcp(bytes, bytes.length, {
        sender: 1,
        reported: 2,
        source: { first: 1, highest: 70_000, sequenceOffset: 9 },
        timestampOffset: 3,
        sent: { packets: 4, octets: 5 },
      });
      expect(length).toBeLessThanOrEqual(bytes.length);
    }),
    { numRuns: 5_000 },
  );
});

const event = (code: number, duration: number, end = false): Uint8Array =>
  Uint8Array.of(code, end ? 0x8a : 0x0a, duration >> 8, duration & 0xff);

test.each<[string, [Uint8Array, number][], string]>([
  [
    'a whole key',
    [
      [event(2, 160), 0],
      [event(2, 320), 0],
      [event(2, 480, true), 0],
      [event(2, 480, true), 0],
    ],
    '2',
  ],
  ['only its end', [[event(11, 480, true), 900]], '#'],
  [
    'two of the same',
    [
      [event(5, 160), 0],
      [event(5, 320, true), 0],
      [event(5, 160), 2_000],
    ],
    '55',
  ],
  [
    'a straggler of the key before',
    [
      [event(1, 160), 0],
      [event(3, 160), 2_000],
      [event(1, 320, true), 0],
    ],
    '13',
  ],
  [
    'a long press in two segments',
    [
      [event(7, 0xffff), 0],
      [event(7, 160), 0xffff],
    ],
    '7',
  ],
  [
    'no key at all',
    [
      [event(16, 160), 0],
      [Uint8Array.of(1), 5],
    ],
    '',
  ],
])('%s is heard as it was pressed', (_name, packets, keys) => {
  const receiver = new TelephoneEventReceiver();
  expect(
    packets.map(([bytes, timestamp]) => receiver.receive(bytes, 0, bytes.length, timestamp) ?? '').join(''),
  ).toBe(keys);
});
