/**
 * ITU-T G.711: A-law (PCMA) and mu-law (PCMU), 8 bits a sample, to and from 16-bit linear PCM. The rounding is that of
 * the ITU's own reference, the software tool library of ITU-T G.191: a 16-bit sample is cut to 13 bits (A-law) or
 * 14 bits (mu-law), a negative one by its ones' complement, so that both halves are mirror images.
 */

/** The codecs that Tacet itself can play and decode, by their RTP names (RFC 3551). */
export type G711 = 'PCMA' | 'PCMU';

/** A byte of silence: the code of the smallest positive amplitude. */
export const silence: Readonly<Record<G711, number>> = { PCMA: 0xd5, PCMU: 0xff };

/** Added to a mu-law magnitude so that its segments begin at powers of two (14-bit scale). */
const muLawBias = 33;

const pcmaLinear = Int16Array.from({ length: 256 }, (_, code) => linearOfPcma(code));
const pcmuLinear = Int16Array.from({ length: 256 }, (_, code) => linearOfPcmu(code));

/** A-law codes to mu-law codes, through linear. */
export const pcmaToPcmu: Uint8Array = encodePcmu(pcmaLinear);

/** Mu-law codes to A-law codes, through linear. */
export const pcmuToPcma: Uint8Array = encodePcma(pcmuLinear);

/** Linear PCM of A-law bytes. */
export function decodePcma(bytes: Uint8Array): Int16Array {
  return decode(bytes, pcmaLinear);
}

/** Linear PCM of mu-law bytes. */
export function decodePcmu(bytes: Uint8Array): Int16Array {
  return decode(bytes, pcmuLinear);
}

/** Linear PCM of `length` bytes from `from`, written from `at` on into each place, or every second one: a side of stereo. */
export function decodeInto(
  codec: G711,
  bytes: Uint8Array,
  from: number,
  length: number,
  samples: Int16Array,
  at: number,
  step: 1 | 2,
): void {
  const table = codec === 'PCMA' ? pcmaLinear : pcmuLinear;
  for (let index = 0; index < length; index += 1) samples[at + step * index] = table[bytes[from + index]!]!;
}

/** A-law bytes of linear PCM. */
export function encodePcma(samples: Int16Array): Uint8Array {
  const bytes = new Uint8Array(samples.length);
  for (let index = 0; index < samples.length; index += 1) bytes[index] = pcmaOf(samples[index]!);
  return bytes;
}

/** Mu-law bytes of linear PCM. */
export function encodePcmu(samples: Int16Array): Uint8Array {
  const bytes = new Uint8Array(samples.length);
  for (let index = 0; index < samples.length; index += 1) bytes[index] = pcmuOf(samples[index]!);
  return bytes;
}

function decode(bytes: Uint8Array, table: Int16Array): Int16Array {
  const samples = new Int16Array(bytes.length);
  for (let index = 0; index < bytes.length; index += 1) samples[index] = table[bytes[index]!]!;
  return samples;
}

/** An A-law byte is sign, segment (3 bits), step in it (4), even bits inverted; the smallest step is 16 of 65536. */
function linearOfPcma(code: number): number {
  const bits = code ^ 0xd5;
  const segment = (bits >> 4) & 7;
  const step = bits & 15;
  const magnitude = segment === 0 ? (step << 4) + 8 : ((step << 4) + 0x108) << (segment - 1);
  return bits & 0x80 ? -magnitude : magnitude;
}

/** A mu-law byte is sign, segment, step, all bits inverted. */
function linearOfPcmu(code: number): number {
  const bits = code ^ 0xff;
  const magnitude = ((((bits & 15) << 1) + muLawBias) << ((bits >> 4) & 7)) - muLawBias;
  return (bits & 0x80 ? -magnitude : magnitude) * 4;
}

function pcmaOf(sample: number): number {
  const magnitude = (sample < 0 ? ~sample : sample) >> 3;
  const segment = magnitude < 32 ? 0 : 27 - Math.clz32(magnitude);
  const step = (magnitude >> Math.max(segment, 1)) & 15;
  return ((segment << 4) | step) ^ (sample < 0 ? 0x55 : 0xd5);
}

function pcmuOf(sample: number): number {
  const magnitude = Math.min(((sample < 0 ? ~sample : sample) >> 2) + muLawBias, 0x1fff);
  const segment = 26 - Math.clz32(magnitude);
  const step = (magnitude >> (segment + 1)) & 15;
  return ((segment << 4) | step) ^ (sample < 0 ? 0x7f : 0xff);
}
