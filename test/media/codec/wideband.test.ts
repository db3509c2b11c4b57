/** G.722 and Opus against ffmpeg, which has its own of the one and libopus of the other. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { G722Decoder, G722Encoder } from '../../../media/codec/g722.ts';
import { encodeOpus, OpusStream } from '../../../media/codec/opus.ts';
import { Doubler } from '../../../media/codec/resample.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';

/** Something like speech: a tone that moves, and a quieter one in the upper band. */
function sound(rate: number, seconds: number): Int16Array {
  return Int16Array.from({ length: rate * seconds }, (_, at) => {
    const t = at / rate;
    const loudness = 0.6 + 0.4 * Math.sin(2 * Math.PI * 3 * t);
    const low = 7_000 * Math.sin(2 * Math.PI * (300 + 200 * Math.sin(t)) * t);
    return Math.round(loudness * (low + (rate > 8_000 ? 1_500 * Math.sin(2 * Math.PI * 5_200 * t) : 0)));
  });
}

/** Signal over noise in dB at the delay that suits best. */
function likeness(reference: Int16Array, heard: Int16Array, mostDelay: number): number {
  let best = -Infinity;
  for (let delay = 0; delay <= mostDelay; delay++) {
    let signal = 0;
    let noise = 0;
    for (let at = 800; at + mostDelay < Math.min(reference.length, heard.length) - 800; at++) {
      signal += reference[at]! ** 2;
      noise += (reference[at]! - heard[at + delay]!) ** 2;
    }
    best = Math.max(best, 10 * Math.log10(signal / noise));
  }
  return best;
}

function ffmpeg(folder: string, input: Uint8Array, from: string[], to: string[]): Buffer {
  const [source, target] = [join(folder, 'in'), join(folder, 'out')];
  writeFileSync(source, input);
  const { status, stderr } = spawnSync('ffmpeg', ['-y', '-v', 'error', ...from, '-i', source, ...to, target]);
  expect(stderr.toString()).toBe('');
  expect(status).toBe(0);
  return readFileSync(target);
}

const bytesOf = (samples: Int16Array): Uint8Array => new Uint8Array(samples.buffer);
const samplesOf = (bytes: Buffer): Int16Array =>
  Int16Array.from({ length: bytes.length >> 1 }, (_, at) => bytes.readInt16LE(2 * at));
const pcm16 = ['-f', 's16le', '-ar', '16000', '-ac', '1'];
const g722 = ['-f', 'g722'];

test('ffmpeg hears our G.722, and we hear exactly what it hears', async () => {
  await using folder = await temporaryFolder('codec');
  const said = sound(16_000, 2);
  const coded = new G722Encoder().encode(said);
  expect(coded.length).toBe(said.length / 2);
  const theirs = samplesOf(ffmpeg(folder.path, coded, g722, pcm16));
  expect(likeness(said, theirs, 40)).toBeGreaterThan(20);
  expect(new G722Decoder().decode(coded)).toEqual(theirs);
});

test("we hear ffmpeg's G.722 exactly as it does itself", async () => {
  await using folder = await temporaryFolder('codec');
  const coded = ffmpeg(folder.path, bytesOf(sound(16_000, 2)), pcm16, ['-c:a', 'g722', '-f', 'g722']);
  const theirs = samplesOf(ffmpeg(folder.path, coded, g722, pcm16));
  expect(new G722Decoder().decode(coded)).toEqual(theirs);
});

test('frames of one stream follow one another without a seam', () => {
  const said = sound(16_000, 1);
  const whole = new G722Encoder().encode(said);
  const encoder = new G722Encoder();
  const frames = Array.from({ length: 50 }, (_, at) =>
    encoder.encode(said.subarray(at * 320, (at + 1) * 320)),
  );
  expect(Buffer.concat(frames)).toEqual(Buffer.from(whole));
});

test('noise of any loudness neither overflows nor drifts', () => {
  let seed = 1;
  const noise = Int16Array.from({ length: 32_000 }, () => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff;
    return (seed >> 8) - 4_194_304;
  });
  const heard = new G722Decoder().decode(new G722Encoder().encode(noise));
  const silence = new G722Decoder().decode(new G722Encoder().encode(new Int16Array(32_000)));
  expect(likeness(noise, heard, 40)).toBeGreaterThan(3);
  expect(silence.every((sample) => Math.abs(sample) < 64)).toBe(true);
});

test.each([8_000, 16_000] as const)('Opus at %i Hz decodes to what was said', async (rate) => {
  const said = sound(rate, 2);
  const packets = encodeOpus(said, rate);
  expect(packets.length).toBe(100);
  expect(packets.every(({ length }) => length > 1 && length < 400)).toBe(true);
  const stream = await OpusStream.open(rate);
  const heard = packets.flatMap((packet) => [...stream.decode(packet)]);
  expect(heard.length).toBe(said.length);
  // What a lossy codec keeps is judged by the ear; the energy must be there, and in time.
  expect(likeness(said, Int16Array.from(heard), rate / 50)).toBeGreaterThan(6);
});

test('streams side by side do not hear each other', async () => {
  const said = sound(8_000, 1);
  const packets = encodeOpus(said, 8_000);
  const other = encodeOpus(sound(8_000, 1).reverse(), 8_000);
  const alone = await OpusStream.open(16_000);
  const expected = packets.map((packet) => alone.decode(packet));
  const [first, second] = await Promise.all([OpusStream.open(16_000), OpusStream.open(16_000)]);
  for (const [at, packet] of packets.entries()) {
    expect(first.decode(packet)).toEqual(expected[at]);
    second.decode(other[at]!);
  }
  expect(encodeOpus(said, 8_000)).toEqual(packets);
});

test('what is no Opus is nothing, and harms nothing', async () => {
  const [good] = encodeOpus(sound(8_000, 1), 8_000);
  const stream = await OpusStream.open(16_000);
  const decoded = [new Uint8Array(0), Uint8Array.of(0xff, 0xff), new Uint8Array(5_000), good!].map((packet) =>
    stream.decode(packet),
  );
  expect(decoded.map(({ length }) => length)).toEqual([0, 0, 0, 320]);
});

test('a doubled rate keeps what was there and puts in between what fits', () => {
  const said = sound(8_000, 1);
  const doubler = new Doubler();
  const pieces = [said.subarray(0, 160), said.subarray(160, 1_000), said.subarray(1_000)];
  const doubled = Int16Array.from(pieces.flatMap((piece) => [...doubler.double(piece)]));
  const wide = Int16Array.from({ length: 16_000 }, (_, at) => {
    const t = at / 16_000;
    const loudness = 0.6 + 0.4 * Math.sin(2 * Math.PI * 3 * t);
    return Math.round(loudness * 7_000 * Math.sin(2 * Math.PI * (300 + 200 * Math.sin(t)) * t));
  });
  expect(doubled.length).toBe(16_000);
  expect(likeness(wide, doubled, 64)).toBeGreaterThan(40);
});
