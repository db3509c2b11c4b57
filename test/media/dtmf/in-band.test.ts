import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePcma, encodePcmu, type G711 } from '../../../media/codec/g711.ts';
import { InBandReceiver } from '../../../media/dtmf/in-band.ts';
import type { Digit } from '../../../media/plane.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';
import { dialled, digits, type DualTone } from './dual-tone.ts';

const packetSamples = 160;

function heardIn(samples: Int16Array, { codec, lost = -1 }: { codec?: G711; lost?: number } = {}): Digit[] {
  const receiver = new InBandReceiver();
  const bytes = codec === 'PCMU' ? encodePcmu(samples) : encodePcma(samples);
  const heard: Digit[] = [];
  for (let at = 0, packet = 0; at < bytes.length; at += packetSamples, packet += 1) {
    if (packet === lost) continue;
    const key = receiver.receive(codec ?? 'PCMA', bytes, at, Math.min(packetSamples, bytes.length - at), at);
    if (key !== undefined) heard.push(key);
  }
  return heard;
}

const plain: DualTone = { onMs: 40, offMs: 40, lowDbm0: -10, highDbm0: -10 };
/** fast-check's own numbers in place of Math.random, so that a failure can be had again. */
const randoms = fc
  .infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true }))
  .map((stream) => () => Number(stream.next().value));

describe('keys in the audio (ITU-T Q.24)', () => {
  it.each<[string, Partial<DualTone>]>([
    ['of 40 ms, 40 ms apart', {}],
    ['of half a second', { onMs: 500 }],
    ['at -25 dBm0', { lowDbm0: -25, highDbm0: -25 }],
    ['as loud as G.711 goes', { lowDbm0: -3, highDbm0: -3 }],
    ['the high tone 4 dB louder', { lowDbm0: -14 }],
    ['the low tone 8 dB louder', { highDbm0: -18 }],
    ['1.5 % too high', { offset: 0.015 }],
    ['1.5 % too low', { offset: -0.015 }],
    ['in noise 15 dB below', { snrDb: 15 }],
    ['too high, uneven and in noise', { offset: 0.015, highDbm0: -16, snrDb: 20 }],
  ])('are heard, each once: %s', (_, differs) => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...digits), { minLength: 1, maxLength: 12 }),
        randoms,
        (keys, random) => {
          expect(heardIn(dialled(keys, { ...plain, ...differs }, random))).toEqual(keys);
        },
      ),
    );
  });

  it.each<[string, Partial<DualTone>]>([
    ['of 23 ms', { onMs: 23 }],
    ['below -29 dBm0', { lowDbm0: -29.5, highDbm0: -29.5, onMs: 100 }],
    ['3.5 % too high', { offset: 0.035, onMs: 100 }],
    ['3.5 % too low', { offset: -0.035, onMs: 100 }],
    ['the high tone much louder', { lowDbm0: -17, onMs: 100 }],
    ['the low tone much louder', { highDbm0: -21, onMs: 100 }],
  ])('are not heard: %s', (_, differs) => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...digits), { minLength: 1, maxLength: 12 }),
        randoms,
        (keys, random) => {
          expect(heardIn(dialled(keys, { ...plain, ...differs }, random))).toEqual([]);
        },
      ),
    );
  });

  it('are heard in mu-law too', () => {
    expect(heardIn(dialled(digits, plain, Math.random), { codec: 'PCMU' })).toEqual(digits);
  });

  it('are one key where a break of 10 ms or a lost packet cuts them in two', () => {
    const long = dialled(['2'], { ...plain, onMs: 400 }, Math.random);
    expect(heardIn(long, { lost: 10 })).toEqual(['2']);
    const cut = long.slice();
    cut.fill(0, 1_600, 1_680);
    expect(heardIn(cut)).toEqual(['2']);
  });

  it('are none in noise, silence, one tone, and whatever bytes come', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4_000 }), (bytes) => {
        const receiver = new InBandReceiver();
        expect(receiver.receive('PCMA', bytes, 0, bytes.length, 0)).toBeUndefined();
      }),
    );
    const tone = Int16Array.from(
      { length: 8_000 },
      (_, at) => 8_000 * Math.sin((2 * Math.PI * 697 * at) / 8_000),
    );
    expect(heardIn(tone)).toEqual([]);
  });

  it('are heard as sox makes them', async () => {
    await using folder = await temporaryFolder('dtmf');
    const wav = join(folder.path, 'seven.wav');
    const tones = [
      'synth',
      '0.06',
      'sine',
      '852',
      'synth',
      '0.06',
      'sine',
      'mix',
      '1209',
      'gain',
      '-9',
      'pad',
      '0.05',
      '0.1',
    ];
    await promisify(execFile)('sox', ['-n', '-r', '8000', '-c', '1', '-b', '16', wav, ...tones]);
    const bytes = await readFile(wav);
    const start = bytes.indexOf('data') + 8;
    const samples = new Int16Array(
      bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + ((bytes.length - start) & ~1) + start),
    );
    expect(heardIn(samples)).toEqual(['7']);
  });
});
