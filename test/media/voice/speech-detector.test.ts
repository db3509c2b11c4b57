import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { readWav } from '../../../media/prompts/wav.ts';
import { loadSpeechModel } from '../../../media/voice/model.ts';
import { pieceSamples, SpeechDetector } from '../../../media/voice/speech-detector.ts';

/** What onnxruntime 1.22 gives for the first pieces of `fr-refused.wav`, from the same model file. */
const byOnnxruntime = [
  0.0105, 0.1937, 0.9523, 0.9738, 0.8961, 0.9585, 0.9467, 0.9735, 0.9773, 0.9674, 0.9643, 0.9698, 0.8434,
  0.896, 0.9201, 0.981, 0.979, 0.9729, 0.9849, 0.983, 0.9896, 0.9932, 0.982, 0.9894, 0.9888, 0.988, 0.9904,
  0.9918, 0.9936, 0.5163, 0.332, 0.9305, 0.9862, 0.9834, 0.9794, 0.9773, 0.2674, 0.1261, 0.0355, 0.0069,
];

test('the graph gives what onnxruntime gives, piece by piece, and again after it has forgotten', async () => {
  const file = new URL('../../../config/prompts/fr-refused.wav', import.meta.url);
  const samples = readWav(await readFile(file), 'fr-refused');
  const detector = new SpeechDetector(await loadSpeechModel());
  for (let time = 0; time < 2; time += 1) {
    detector.reset();
    for (const [piece, expected] of byOnnxruntime.entries()) {
      const part = samples.subarray(piece * pieceSamples, (piece + 1) * pieceSamples);
      const probability = detector.probability(Float32Array.from(part, (sample) => sample / 32_768));
      expect(Math.abs(probability - expected), `piece ${piece}`).toBeLessThan(0.0002);
    }
  }
});
