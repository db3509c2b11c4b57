import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import type { EpochMicros } from '../../../config/units.ts';
import { decodePcma, encodePcma } from '../../../media/codec/g711.ts';
import { readWav } from '../../../media/prompts/wav.ts';
import { AnySpeech } from '../../../media/voice/any-speech.ts';
import { loadSpeechModel, type SpeechModel } from '../../../media/voice/model.ts';

let model: SpeechModel;
let voice: Float32Array;
let prompt: Float32Array;
beforeAll(async () => {
  model = await loadSpeechModel();
  [voice, prompt] = await Promise.all([soundOf('demo/caller-fr'), soundOf('fr-object')]);
});

async function soundOf(name: string): Promise<Float32Array> {
  const file = new URL(`../../../config/prompts/${name}.wav`, import.meta.url);
  return Float32Array.from(readWav(await readFile(file), name), (sample) => sample / 32_768);
}

/** Where in the audio a voice was heard first, through A-law in packets of 20 ms; undefined when none was. */
function heardAt(audio: Float32Array, played?: Float32Array): number | undefined {
  const speech = new AnySpeech(model);
  if (played !== undefined) speech.plays(played);
  const line = decodePcma(encodePcma(Int16Array.from(audio, (sample) => sample * 32_767)));
  const heard = Float32Array.from(line, (sample) => sample / 32_768);
  for (let end = 160; end <= heard.length; end += 160) {
    if (speech.hear(heard.subarray(end - 160, end), 0 as EpochMicros) !== undefined) return end;
  }
  return undefined;
}

/** Sound laid over a silence, so many samples from its beginning. */
function at(from: number, sound: Float32Array, gain = 1, length = 24_000): Float32Array {
  const audio = new Float32Array(length);
  for (let index = 0; index < sound.length && from + index < length; index += 1)
    audio[from + index] = sound[index]! * gain;
  return audio;
}

function both(one: Float32Array, other: Float32Array): Float32Array {
  return one.map((sample, index) => sample + (other[index] ?? 0));
}

describe('any speech', () => {
  test('is heard soon after it begins, loud or quiet', () => {
    for (const gain of [1, 0.2]) {
      const heard = heardAt(at(8_000, voice, gain));
      expect(heard).toBeGreaterThan(8_000);
      expect(heard).toBeLessThan(8_000 + 8 * 500);
    }
  });

  test('is none in silence, hum, noise, a ringing tone and a thump', () => {
    const second = (of: (index: number) => number): Float32Array =>
      Float32Array.from({ length: 24_000 }, (_, index) => of(index));
    expect(heardAt(second(() => 0))).toBeUndefined();
    expect(heardAt(second((index) => 0.02 * Math.sin((2 * Math.PI * 50 * index) / 8_000)))).toBeUndefined();
    expect(heardAt(second(() => 0.01 * (Math.random() - 0.5)))).toBeUndefined();
    expect(heardAt(second((index) => 0.2 * Math.sin((2 * Math.PI * 440 * index) / 8_000)))).toBeUndefined();
    expect(
      heardAt(
        second((index) =>
          index < 8_000 ? 0 : 0.4 * Math.exp(-(index - 8_000) / 150) * Math.sin(index / 12),
        ),
      ),
    ).toBeUndefined();
  });

  test("is none in the prompt's own echo, whatever its delay, and is heard over it", () => {
    for (const lateMs of [5, 60, 250, 700]) {
      const echo = at(8 * lateMs, prompt, 10 ** (-30 / 20), prompt.length + 8 * lateMs);
      expect(heardAt(echo, prompt), `${lateMs} ms`).toBeUndefined();
      const over = heardAt(both(echo, at(20_000, voice, 0.7, echo.length)), prompt);
      expect(over, `over ${lateMs} ms`).toBeGreaterThan(20_000);
      expect(over).toBeLessThan(20_000 + 8 * 1_000);
    }
  });

  test('is heard in the echo of a prompt that is not being played', () => {
    expect(heardAt(at(4_000, prompt, 0.1))).toBeDefined();
  });
});
