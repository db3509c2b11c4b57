import { readFile, readdir } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { examine, faultsOf } from '../../../media/prompts/examine.ts';
import { readWav, writtenWav } from '../../../media/prompts/wav.ts';

/** A tone of so many milliseconds, its level given as amplitude, 0 to 1. */
function tone(ms: number, amplitude = 0.2): Int16Array {
  return Int16Array.from({ length: 8 * ms }, (_, at) => 32_767 * amplitude * Math.sin(at * 0.471));
}

const silence = (ms: number): Int16Array => new Int16Array(8 * ms);

function joined(...parts: Int16Array[]): Int16Array {
  return Int16Array.from(parts.flatMap((part) => [...part]));
}

test('says how long, how loud and how silent', () => {
  const audio = examine(joined(silence(200), tone(500), silence(600), tone(500), silence(400)));
  expect(audio).toEqual({
    durationMs: 2_200,
    levelDb: -17,
    leadMs: 200,
    tailMs: 400,
    pauseMs: 600,
    clips: 0,
  });
  expect(faultsOf(audio)).toEqual([]);
});

test('what ships has no fault, and every language has a prompt for each mode', async () => {
  const folder = new URL('../../../config/prompts/', import.meta.url);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.wav'));
  for (const file of files)
    expect([file, faultsOf(examine(readWav(await readFile(new URL(file, folder)), file)))]).toEqual([
      file,
      [],
    ]);
  const modes = ['object', 'consent', 'mandated', 'refused'];
  const wanted = ['ar', 'en', 'es', 'fr'].flatMap((language) =>
    modes.map((mode) => `${language}-${mode}.wav`),
  );
  expect(files).toEqual(expect.arrayContaining(wanted));
});

test.each([
  ['nothing', silence(0), 'is empty'],
  ['silence', silence(1_000), 'is silent'],
  ['line noise', tone(1_000, 0.004), 'is silent'],
  ['8.02 s', tone(8_020), 'lasts 8020 ms; 8000 at most'],
  ['a click', tone(200), 'lasts 200 ms; 300 at least'],
  ['a whisper', tone(1_000, 0.015), 'is too quiet: -39.5 dBFS; -36 at least'],
  ['a shout', tone(1_000, 0.9), 'is too loud: -3.9 dBFS; -8 at most'],
  ['a late start', joined(silence(1_200), tone(500)), 'begins with 1200 ms of silence; 1000 at most'],
  ['a long end', joined(tone(500), silence(1_200)), 'ends with 1200 ms of silence; 1000 at most'],
  ['a hole', joined(tone(500), silence(2_200), tone(500)), 'pauses for 2200 ms; 2000 at most'],
])('%s is no prompt', (_, samples, fault) => {
  expect(faultsOf(examine(samples))).toEqual([fault]);
});

test('flat tops are clips', () => {
  const samples = tone(1_000, 0.1);
  for (const at of [800, 1_600, 2_400]) samples.fill(32_767, at, at + 6);
  expect(faultsOf(examine(samples))).toEqual(['is clipped in 3 places: record it again, quieter']);
});

test('whatever is written as WAV is read as it was', () => {
  fc.assert(
    fc.property(fc.int16Array({ maxLength: 2_000 }), (samples) => {
      expect(readWav(writtenWav(samples), 'any')).toEqual(samples);
    }),
  );
});
