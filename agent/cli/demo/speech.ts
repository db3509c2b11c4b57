import { readFile } from 'node:fs/promises';
import { TacetError } from '../../../config/errors.ts';

/** A sound file that the demo cannot play. */
export class SpeechUnreadable extends TacetError {
  readonly file: string;
  constructor(file: string, why: string) {
    super(`${file} cannot be played: ${why}; wanted is WAV, 8 kHz, mono, 16-bit PCM`);
    this.file = file;
  }
}

/** A sound file as A-law (G.711), a byte a sample. @throws SpeechUnreadable */
export async function readSpeech(file: string): Promise<Uint8Array> {
  const wav = await readFile(file);
  if (wav.toString('latin1', 0, 4) !== 'RIFF' || wav.toString('latin1', 8, 12) !== 'WAVE') {
    throw new SpeechUnreadable(file, 'not a WAV file');
  }
  let format: string | undefined;
  for (let at = 12; at + 8 <= wav.length; ) {
    const chunk = wav.toString('latin1', at, at + 4);
    const length = wav.readUInt32LE(at + 4);
    const body = wav.subarray(at + 8, at + 8 + length);
    if (chunk === 'fmt ') {
      const [coding, channels, rate, bits] = [
        body.readUInt16LE(0),
        body.readUInt16LE(2),
        body.readUInt32LE(4),
        body.readUInt16LE(14),
      ];
      format = `coding ${coding}, ${rate} Hz, ${channels} channels, ${bits} bits`;
    }
    if (chunk === 'data') {
      if (format !== 'coding 1, 8000 Hz, 1 channels, 16 bits') {
        throw new SpeechUnreadable(file, format ?? 'no format chunk');
      }
      const samples = Math.floor(body.length / 2);
      return Uint8Array.from({ length: samples }, (_, index) => alawOf(body.readInt16LE(index * 2)));
    }
    at += 8 + length + (length % 2);
  }
  throw new SpeechUnreadable(file, 'no sound in it');
}

/** One linear 16-bit sample in A-law, ITU-T G.711: sign, segment, four bits, every second bit inverted. */
export function alawOf(sample: number): number {
  const sign = sample >= 0 ? 0x80 : 0;
  const magnitude = Math.min(sample >= 0 ? sample : -sample - 1, 32_767) >> 3;
  // The first two segments are linear and equally fine.
  const segment = magnitude < 32 ? 0 : 27 - Math.clz32(magnitude);
  const code =
    segment === 0 ? magnitude >> 1 : (segment << 4) | ((magnitude >> segment) & 0x0f);
  return (sign | code) ^ 0x55;
}
