/** The framing of Opus, judged by libopus itself: what we read from it is what it decodes. */
import fc from 'fast-check';
import { OpusDecoder } from 'opus-decoder';
import { expect, test, vi } from 'vitest';
import { opusMs } from '../../../media/codec/opus-packet.ts';

/** Every configuration and code; lengths and counts that often are right. */
const packet = fc
  .record({
    toc: fc.nat(255),
    head: fc.array(fc.oneof(fc.nat(255), fc.nat(6), fc.constantFrom(0x41, 0x82, 0xc3, 252, 255)), {
      maxLength: 8,
    }),
    rest: fc.oneof(fc.nat(60), fc.nat(1_400)),
  })
  .map(({ toc, head, rest }) => Uint8Array.from([toc, ...head, ...new Array<number>(rest).fill(7)]));

test('a packet has as many milliseconds as libopus makes of it, and none where it refuses it', async () => {
  // The library says on the console what it refuses.
  using said = vi.spyOn(console, 'error').mockReturnValue(undefined);
  const decoder = new OpusDecoder({ sampleRate: 8_000, channels: 1 });
  await decoder.ready;
  const seen = { read: 0, refused: 0 };
  fc.assert(
    fc.property(packet, (bytes) => {
      const ms = opusMs(bytes);
      expect(ms * 8).toBe(decoder.decodeFrame(bytes).samplesDecoded);
      seen[ms > 0 ? 'read' : 'refused'] += 1;
    }),
    { numRuns: 4_000 },
  );
  expect(Math.min(seen.read, seen.refused)).toBeGreaterThan(200);
  expect(said).toHaveBeenCalledTimes(seen.refused);
});

test('nothing has no length', () => {
  expect(opusMs(new Uint8Array(0))).toBe(0);
});
