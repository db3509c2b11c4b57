/** A site's own audio as prompts are: 8 kHz, mono, 16 bit. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../../config/errors.ts';
import { PromptUnusable, readWav } from './wav.ts';

/** Nobody speaks a prompt for longer; a file that does is no prompt, and is not decoded to its end. */
const mostSeconds = 60;

/**
 * Reads audio in whatever format: a WAV file that is as prompts are by itself, anything else (other rates and channels, Opus, MP3)
 * through ffmpeg.
 *
 * @throws PromptUnusable when it is no audio, or ffmpeg is needed and not there
 */
export async function readAudioFile(path: string): Promise<Int16Array> {
  let file: Buffer;
  try {
    file = await readFile(path);
  } catch (error) {
    throw new PromptUnusable(path, `cannot be read (${messageOf(error)})`);
  }
  try {
    return readWav(file, path);
  } catch (error) {
    if (!(error instanceof PromptUnusable)) throw error;
  }
  return await throughFfmpeg(path);
}

async function throughFfmpeg(path: string): Promise<Int16Array> {
  const input = ['-protocol_whitelist', 'file,pipe', '-t', `${mostSeconds}`, '-i', `file:${resolve(path)}`];
  const output = ['-map', '0:a:0', '-ac', '1', '-ar', '8000', '-f', 's16le', 'pipe:1'];
  try {
    const { stdout } = await promisify(execFile)('ffmpeg', ['-v', 'error', '-nostdin', ...input, ...output], {
      encoding: 'buffer',
      maxBuffer: 2 * 8_000 * (mostSeconds + 1),
    });
    return Int16Array.from({ length: stdout.length >> 1 }, (_, at) => stdout.readInt16LE(2 * at));
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const why = missing
      ? 'is not WAV of 8 kHz, mono, 16 bit, and ffmpeg, which would make it so, is not installed (apt install ffmpeg)'
      : 'is no audio that ffmpeg can read';
    throw new PromptUnusable(path, why);
  }
}
