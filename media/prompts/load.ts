/** Prompts, read and converted once. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../config/errors.ts';
import { encodeAll } from './encoded.ts';
import type { Prompt } from './prompt.ts';
import { PromptUnusable, readWav } from './wav.ts';

const shipped = new URL('../../config/prompts/', import.meta.url);
const samplesPerMs = 8;
/** First-level information must be short enough to be heard (law.md section 6). */
const longestMs = 8_000;

/**
 * Loads a prompt: a name of `config/prompts` or the path of a WAV file.
 *
 * @throws PromptUnusable
 */
export async function loadPrompt(nameOrPath: string): Promise<Prompt> {
  const shippedOne = /^[a-z0-9-]+$/u.test(nameOrPath);
  const path = shippedOne ? fileURLToPath(new URL(`${nameOrPath}.wav`, shipped)) : nameOrPath;
  let file: Buffer;
  try {
    file = await readFile(path);
  } catch (error) {
    throw new PromptUnusable(nameOrPath, `cannot be read (${messageOf(error)})`);
  }
  const samples = readWav(file, nameOrPath);
  const durationMs = Math.round(samples.length / samplesPerMs);
  if (samples.length === 0) throw new PromptUnusable(nameOrPath, 'is empty');
  if (durationMs > longestMs)
    throw new PromptUnusable(nameOrPath, `lasts ${durationMs} ms; ${longestMs} at most`);
  return {
    name: nameOrPath,
    hash: createHash('sha256').update(new Uint8Array(samples.buffer)).digest('hex'),
    durationMs,
    encoded: encodeAll(samples),
  };
}
