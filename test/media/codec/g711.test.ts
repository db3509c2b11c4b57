import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import {
  decodePcma,
  decodePcmu,
  encodePcma,
  encodePcmu,
  pcmaToPcmu,
  pcmuToPcma,
  type G711,
} from '../../../media/codec/g711.ts';

const codecs = {
  PCMA: { decode: decodePcma, encode: encodePcma, ffmpeg: 'alaw', sox: 'a-law' },
  PCMU: { decode: decodePcmu, encode: encodePcmu, ffmpeg: 'mulaw', sox: 'mu-law' },
} as const;
const names = ['PCMA', 'PCMU'] as const satisfies G711[];

const everyCode = Uint8Array.from({ length: 256 }, (_, code) => code);
const everySample = Int16Array.from({ length: 65_536 }, (_, index) => index - 32_768);

function run(program: string, args: string[], input: ArrayBufferView): Buffer {
  const { buffer, byteOffset, byteLength } = input;
  return execFileSync(program, args, {
    input: Buffer.from(buffer, byteOffset, byteLength),
    maxBuffer: 1 << 20,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
}

const linear = {
  ffmpeg: ['-f', 's16le', '-ar', '8000', '-ac', '1'],
  sox: ['-t', 'raw', '-r', '8000', '-e', 'signed', '-b', '16', '-c', '1'],
};
const coded = (name: G711): { ffmpeg: string[]; sox: string[] } => ({
  ffmpeg: ['-f', codecs[name].ffmpeg, '-ar', '8000', '-ac', '1'],
  sox: ['-t', 'raw', '-r', '8000', '-e', codecs[name].sox, '-c', '1'],
});
type Program = 'ffmpeg' | 'sox';
function convert(program: Program, from: typeof linear, to: typeof linear, input: ArrayBufferView): Buffer {
  return program === 'ffmpeg'
    ? run('ffmpeg', ['-v', 'error', ...from.ffmpeg, '-i', '-', ...to.ffmpeg, '-'], input)
    : run('sox', ['-D', ...from.sox, '-', ...to.sox, '-'], input);
}

const peers = names.flatMap((name) => (['ffmpeg', 'sox'] as const).map((program) => ({ name, program })));

/** Where a code stands between the most negative one (-128) and the most positive one (127). */
function place(name: G711, code: number): number {
  const bits = code ^ (name === 'PCMA' ? 0xd5 : 0xff);
  return bits & 0x80 ? ~(bits & 0x7f) : bits;
}

describe('G.711', () => {
  test.each(peers)('$name: every code decodes to the sample that $program gives', ({ name, program }) => {
    const theirs = convert(program, coded(name), linear, everyCode);
    const ours = codecs[name].decode(everyCode);
    expect([...ours]).toEqual(Array.from(ours, (_, index) => theirs.readInt16LE(2 * index)));
  });

  // Both cut 16 bits to 13 or 14 in their own way: ffmpeg by thresholds midway between two steps, SoX by rounding, the
  // ITU's reference by truncation. So they legitimately choose the other neighbour at the border of two steps only.
  test.each(peers)(
    '$name: every sample gets the code of $program, or at a border its neighbour',
    ({ name, program }) => {
      const theirs = convert(program, linear, coded(name), everySample);
      const ours = codecs[name].encode(everySample);
      let different = 0;
      for (const [index, sample] of everySample.entries()) {
        const code = theirs[index];
        if (ours[index] === code) continue;
        different += 1;
        expect(Math.abs(place(name, ours[index]!) - place(name, code!)), `sample ${sample}`).toBe(1);
      }
      expect(different).toBeLessThanOrEqual(1_024);
    },
  );

  // ITU-T G.711 tables 1a, 1b, 2a, 2b: first and last step of a segment, decision value to character signal.
  test.each([
    ['PCMA', 0, 0xd5],
    ['PCMA', -1, 0x55],
    ['PCMA', 15, 0xd5],
    ['PCMA', 16, 0xd4],
    ['PCMA', 32_767, 0xaa],
    ['PCMA', -32_768, 0x2a],
    ['PCMU', 0, 0xff],
    ['PCMU', -1, 0x7f],
    ['PCMU', 4, 0xfe],
    ['PCMU', 32_767, 0x80],
    ['PCMU', -32_768, 0x00],
  ] as const)('%s writes %i as its code', (name, sample, code) => {
    expect(codecs[name].encode(Int16Array.of(sample))[0]).toBe(code);
  });

  test.each(names)('%s: what was decoded encodes to the same code', (name) => {
    const { decode, encode } = codecs[name];
    const again = encode(decode(everyCode));
    for (const code of everyCode) {
      // Mu-law has two codes for zero; nothing can tell them apart once decoded.
      expect(again[code]).toBe(name === 'PCMU' && code === 0x7f ? 0xff : code);
    }
  });

  test.each(names)('%s: the codes of a rising sample rise, and both halves mirror each other', (name) => {
    const { decode, encode } = codecs[name];
    const heard = decode(encode(everySample));
    for (let index = 1; index < heard.length; index += 1) {
      expect(heard[index]! >= heard[index - 1]!).toBe(true);
      expect(heard[index]! + heard[65_535 - index]!).toBe(0);
    }
  });

  test('the transcoding tables lead to the code of the decoded sample', () => {
    expect(pcmaToPcmu).toEqual(encodePcmu(decodePcma(everyCode)));
    expect(pcmuToPcma).toEqual(encodePcma(decodePcmu(everyCode)));
  });

  test('transcoded there and back, loudness stays: within one step of its own segment', () => {
    for (const code of everyCode) {
      const before = decodePcma(Uint8Array.of(code))[0]!;
      const after = decodePcma(Uint8Array.of(pcmuToPcma[pcmaToPcmu[code]!]!))[0]!;
      expect(Math.abs(after - before)).toBeLessThanOrEqual(Math.max(16, Math.abs(before) / 16));
    }
  });
});
