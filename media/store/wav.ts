/** A stereo WAV: caller left, agent right, 16 bit. */
import type { Side } from '../../config/units.ts';

const headerBytes = 44;

/** @param rate samples a second */
export function stereoWav(samples: Record<Side, Int16Array>, rate: number): Buffer {
  const { caller, agent } = samples;
  const data = caller.length * 4;
  const wav = Buffer.alloc(headerBytes + data);
  wav.write('RIFF', 0, 'latin1');
  wav.writeUInt32LE(headerBytes - 8 + data, 4);
  wav.write('WAVEfmt ', 8, 'latin1');
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(2, 22);
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(rate * 4, 28);
  wav.writeUInt16LE(4, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36, 'latin1');
  wav.writeUInt32LE(data, 40);
  // Little-endian as the file is, on every machine that Node runs on.
  const interleaved = new Int16Array(wav.buffer, wav.byteOffset + headerBytes, caller.length * 2);
  for (let index = 0; index < caller.length; index++) {
    interleaved[index * 2] = caller[index]!;
    interleaved[index * 2 + 1] = agent[index]!;
  }
  return wav;
}
