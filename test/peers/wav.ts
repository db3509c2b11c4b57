/** Sound files, and whether one sound is in another: how tests tell that what was said is what was heard, and when. */
import { readFile } from 'node:fs/promises';

export interface Sound {
  sampleRate: number;
  /** A channel each, samples in -1..1. */
  channels: Float64Array[];
}

/** Reads linear 16-bit PCM, the plain and the extensible form; a header cut short by a crash gives what is there. */
export async function readWav(file: string): Promise<Sound> {
  const wav = await readFile(file);
  if (wav.toString('latin1', 0, 4) !== 'RIFF') throw new Error(`${file} is not a WAV file`);
  let channelCount = 0;
  let sampleRate = 0;
  for (let at = 12; at + 8 <= wav.length;) {
    const chunk = wav.toString('latin1', at, at + 4);
    const length = wav.readUInt32LE(at + 4);
    const body = wav.subarray(at + 8, Math.min(at + 8 + length, wav.length));
    if (chunk === 'fmt ') {
      const [coding, bits] = [body.readUInt16LE(0), body.readUInt16LE(14)];
      if ((coding !== 1 && coding !== 0xfffe) || bits !== 16) {
        throw new Error(`${file}: coding ${coding} with ${bits} bits, not 16-bit PCM`);
      }
      channelCount = body.readUInt16LE(2);
      sampleRate = body.readUInt32LE(4);
    }
    if (chunk === 'data') {
      const frames = Math.floor(body.length / 2 / channelCount);
      const channels = Array.from({ length: channelCount }, (_, channel) =>
        Float64Array.from(
          { length: frames },
          (_, frame) => body.readInt16LE((frame * channelCount + channel) * 2) / 32_768,
        ),
      );
      return { sampleRate, channels };
    }
    at += 8 + length + (length % 2);
  }
  throw new Error(`${file} has no sound in it`);
}

export interface Match {
  /** Where the reference begins in the signal; negative when its beginning is missing. */
  offsetMs: number;
  /** 0..1: normalised over the part where both are; 1 is the same sound, whatever its volume. */
  likeness: number;
}

/**
 * Finds the place in `signal` where `reference` fits best (cross-correlation by FFT).
 * Speech that went through G.711 is found again with a likeness above 0.95, other speech stays below 0.3.
 */
export function findIn(signal: Float64Array, reference: Float64Array, sampleRate = 8_000): Match {
  const size = 2 ** Math.ceil(Math.log2(signal.length + reference.length));
  const [signalRe, signalIm] = padded(signal, size);
  const [referenceRe, referenceIm] = padded(reference, size);
  transform(signalRe, signalIm, false);
  transform(referenceRe, referenceIm, false);
  for (let bin = 0; bin < size; bin += 1) {
    const [a, b, c, d] = [signalRe[bin]!, signalIm[bin]!, referenceRe[bin]!, -referenceIm[bin]!];
    signalRe[bin] = a * c - b * d;
    signalIm[bin] = a * d + b * c;
  }
  transform(signalRe, signalIm, true);

  const signalEnergy = energies(signal);
  const referenceEnergy = energies(reference);
  const whole = referenceEnergy.at(-1)!;
  let best: Match = { offsetMs: 0, likeness: 0 };
  for (let offset = 1 - reference.length; offset < signal.length; offset += 1) {
    const from = Math.max(0, offset);
    const until = Math.min(signal.length, offset + reference.length);
    const overlap = referenceEnergy[until - offset]! - referenceEnergy[from - offset]!;
    // A place where only the last syllable overlaps says little, however well that one fits.
    if (overlap < whole / 2) continue;
    const power = overlap * (signalEnergy[until]! - signalEnergy[from]!);
    const likeness = power <= 1e-12 ? 0 : signalRe[(offset + size) % size]! / Math.sqrt(power);
    if (likeness > best.likeness) best = { offsetMs: (offset * 1_000) / sampleRate, likeness };
  }
  return best;
}

/** The level of each window in dBFS (RMS, a full-scale square wave is 0); silence is -Infinity. */
export function levels(signal: Float64Array, sampleRate = 8_000, windowMs = 20): number[] {
  const window = Math.round((sampleRate * windowMs) / 1_000);
  const energy = energies(signal);
  return Array.from({ length: Math.floor(signal.length / window) }, (_, index) => {
    const power = (energy[(index + 1) * window]! - energy[index * window]!) / window;
    return 10 * Math.log10(Math.max(0, power));
  });
}

/** How long, in ms, the level stays above `thresholdDbfs`. */
export function soundingMs(signal: Float64Array, thresholdDbfs = -50, sampleRate = 8_000): number {
  return levels(signal, sampleRate).filter((level) => level > thresholdDbfs).length * 20;
}

/** Energy of all samples before each place. */
function energies(signal: Float64Array): Float64Array {
  const sums = new Float64Array(signal.length + 1);
  for (let index = 0; index < signal.length; index += 1) {
    sums[index + 1] = sums[index]! + signal[index]! ** 2;
  }
  return sums;
}

function padded(signal: Float64Array, size: number): [Float64Array, Float64Array] {
  const real = new Float64Array(size);
  real.set(signal);
  return [real, new Float64Array(size)];
}

/** The discrete Fourier transform in place, radix 2; the inverse is scaled. */
function transform(real: Float64Array, imaginary: Float64Array, inverse: boolean): void {
  const size = real.length;
  for (let index = 1, mirrored = 0; index < size; index += 1) {
    let bit = size >> 1;
    for (; (mirrored & bit) !== 0; bit >>= 1) mirrored ^= bit;
    mirrored ^= bit;
    if (index < mirrored) {
      [real[index], real[mirrored]] = [real[mirrored]!, real[index]!];
      [imaginary[index], imaginary[mirrored]] = [imaginary[mirrored]!, imaginary[index]!];
    }
  }
  for (let length = 2; length <= size; length *= 2) {
    const angle = ((inverse ? 2 : -2) * Math.PI) / length;
    for (let step = 0; step < length / 2; step += 1) {
      const [cosine, sine] = [Math.cos(angle * step), Math.sin(angle * step)];
      for (let even = step; even < size; even += length) {
        const odd = even + length / 2;
        const re = real[odd]! * cosine - imaginary[odd]! * sine;
        const im = real[odd]! * sine + imaginary[odd]! * cosine;
        real[odd] = real[even]! - re;
        imaginary[odd] = imaginary[even]! - im;
        real[even] = real[even]! + re;
        imaginary[even] = imaginary[even]! + im;
      }
    }
  }
  if (!inverse) return;
  for (let index = 0; index < size; index += 1) {
    real[index] = real[index]! / size;
    imaginary[index] = imaginary[index]! / size;
  }
}
