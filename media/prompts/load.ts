/** Prompts, read and converted once. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../config/errors.ts';
import { encodeAll } from './encoded.ts';
import { examine, faultsOf } from './examine.ts';
import type { Prompt } from './prompt.ts';
import { PromptUnusable, readWav } from './wav.ts';

const shipped = new URL('../../config/prompts/', import.meta.url);

/**
 * Loads a prompt: a name of `config/prompts` or the path of a WAV file. Audio that tells nobody anything (silent, broken off, too
 * long to be heard out) is none.
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
  const examined = examine(samples);
  const faults = faultsOf(examined);
  if (faults.length > 0) throw new PromptUnusable(nameOrPath, faults.join('; '));
  return {
    name: nameOrPath,
    hash: hashOf(samples),
    durationMs: examined.durationMs,
    encoded: encodeAll(samples),
  };
}

/** What identifies a prompt in the ledger, whatever file it came in: hex SHA-256 of its samples. */
export function hashOf(samples: Int16Array): string {
  return createHash('sha256').update(new Uint8Array(samples.buffer)).digest('hex');
}
