/** G.711 (ITU-T G.711): A-law and mu-law to and from 16-bit linear PCM, and between each other. */

const muClip = 32_635;
const muBias = 0x84;

const pcmaToLinear = Int16Array.from({ length: 256 }, (_, code) => expandA(code));
const pcmuToLinear = Int16Array.from({ length: 256 }, (_, code) => expandMu(code));

/** Code for code, by way of linear PCM. */
export const pcmaToPcmu = Uint8Array.from(pcmaToLinear, compressMu);
export const pcmuToPcma = Uint8Array.from(pcmuToLinear, compressA);

export function decodePcma(bytes: Uint8Array): Int16Array {
  return Int16Array.from(bytes, (code) => pcmaToLinear[code]!);
}

export function decodePcmu(bytes: Uint8Array): Int16Array {
  return Int16Array.from(bytes, (code) => pcmuToLinear[code]!);
}

export function encodePcma(samples: Int16Array): Uint8Array {
  return Uint8Array.from(samples, compressA);
}

export function encodePcmu(samples: Int16Array): Uint8Array {
  return Uint8Array.from(samples, compressMu);
}

/** Even bits are inverted on the line (G.711 table 1, note 2). */
function expandA(code: number): number {
  const bits = code ^ 0x55;
  const exponent = (bits >> 4) & 7;
  const mantissa = bits & 0x0f;
  const magnitude = exponent === 0 ? (mantissa << 4) + 8 : ((mantissa << 4) + 0x108) << (exponent - 1);
  return (bits & 0x80) !== 0 ? magnitude : -magnitude;
}

function compressA(sample: number): number {
  // One's complement for negatives: nought and minus one are the two intervals next to the middle.
  const magnitude = sample >= 0 ? sample >> 4 : ~sample >> 4;
  const exponent = magnitude < 0x10 ? 0 : 31 - Math.clz32(magnitude) - 3;
  const mantissa = exponent < 2 ? magnitude & 0x0f : (magnitude >> (exponent - 1)) & 0x0f;
  return ((sample >= 0 ? 0x80 : 0) | (exponent << 4) | mantissa) ^ 0x55;
}

/** All bits are inverted on the line (G.711 table 2). */
function expandMu(code: number): number {
  const bits = ~code & 0xff;
  const magnitude = ((((bits & 0x0f) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
  return (bits & 0x80) !== 0 ? -magnitude : magnitude;
}

function compressMu(sample: number): number {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), muClip) + muBias;
  const exponent = 31 - Math.clz32(magnitude) - 7;
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~(sign | (exponent << 4) | mantissa) & 0xff;
}
