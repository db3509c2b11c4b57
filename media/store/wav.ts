/** The head of a stereo WAV: caller left, agent right, 16 bit. */
const headerBytes = 44;
const frameBytes = 4;

/**
 * @param rate   samples a second
 * @param length samples a side that follow
 */
export function stereoWavHeader(rate: number, length: number): Buffer {
  const wav = Buffer.alloc(headerBytes);
  const data = length * frameBytes;
  wav.write('RIFF', 0, 'latin1');
  wav.writeUInt32LE(headerBytes - 8 + data, 4);
  wav.write('WAVEfmt ', 8, 'latin1');
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(2, 22);
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(rate * frameBytes, 28);
  wav.writeUInt16LE(frameBytes, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36, 'latin1');
  wav.writeUInt32LE(data, 40);
  return wav;
}
