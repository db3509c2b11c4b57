/** WAV files as prompts may be: RIFF, linear PCM, 16 bit, mono, 8 kHz. */
import { TacetError } from '../../config/errors.ts';

/** A prompt's audio cannot be used as it is; the message names the file, what is wrong and what is asked for. */
export class PromptUnusable extends TacetError {
  readonly prompt: string;
  constructor(prompt: string, problem: string) {
    super(`prompt ${prompt}: ${problem}`);
    this.prompt = prompt;
  }
}

const sampleRate = 8_000;
const linearPcm = 1;

/** Samples as a WAV file that `readWav` takes. */
export function writtenWav(samples: Int16Array): Buffer {
  const file = Buffer.alloc(44 + 2 * samples.length);
  file.write('RIFF', 0, 'latin1');
  file.writeUInt32LE(file.length - 8, 4);
  file.write('WAVEfmt ', 8, 'latin1');
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(linearPcm, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(sampleRate, 24);
  file.writeUInt32LE(2 * sampleRate, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write('data', 36, 'latin1');
  file.writeUInt32LE(2 * samples.length, 40);
  for (const [at, sample] of samples.entries()) file.writeInt16LE(sample, 44 + 2 * at);
  return file;
}

/** Reads the samples of a WAV file. @throws PromptUnusable */
export function readWav(file: Uint8Array, name: string): Int16Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const tag = (at: number): string => Buffer.from(file.subarray(at, at + 4)).toString('latin1');
  if (file.length < 12 || tag(0) !== 'RIFF' || tag(8) !== 'WAVE')
    throw new PromptUnusable(name, 'is not a WAV file');

  let formatSeen = false;
  for (let at = 12; at + 8 <= file.length;) {
    const id = tag(at);
    const size = view.getUint32(at + 4, true);
    const start = at + 8;
    if (start + size > file.length) throw new PromptUnusable(name, `its "${id}" chunk is cut short`);
    if (id === 'fmt ') {
      if (size < 16) throw new PromptUnusable(name, 'its format chunk is cut short');
      checkFormat(view, start, name);
      formatSeen = true;
    }
    if (id === 'data') {
      if (!formatSeen) throw new PromptUnusable(name, 'its data come before its format');
      return Int16Array.from({ length: size >>> 1 }, (_, index) => view.getInt16(start + 2 * index, true));
    }
    at = start + size + (size % 2);
  }
  throw new PromptUnusable(name, 'holds no data chunk');
}

function checkFormat(view: DataView, at: number, name: string): void {
  const format = view.getUint16(at, true);
  const channels = view.getUint16(at + 2, true);
  const rate = view.getUint32(at + 4, true);
  const bits = view.getUint16(at + 14, true);
  if (format !== linearPcm || bits !== 16)
    throw new PromptUnusable(name, `is not 16-bit linear PCM (format ${format}, ${bits} bits)`);
  if (channels !== 1) throw new PromptUnusable(name, `has ${channels} channels; one is asked for`);
  if (rate !== sampleRate)
    throw new PromptUnusable(name, `has ${rate} samples a second; ${sampleRate} are asked for`);
}
