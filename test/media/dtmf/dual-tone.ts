/** Keys as ITU-T Q.23 tones, made to measure: for whatever a telephone, a gateway or a bad line makes of them. */
import type { Digit } from '../../../media/plane.ts';

const low = [697, 770, 852, 941];
const high = [1_209, 1_336, 1_477, 1_633];
export const digits = Array.from('123A456B789C*0#D') as readonly Digit[];

export interface DualTone {
  onMs: number;
  offMs: number;
  /** Levels of the two tones, dBm0. */
  lowDbm0: number;
  highDbm0: number;
  /** Relative: 0.015 is 1.5 % too high. */
  offset?: number;
  /** White noise below both tones together, dB. */
  snrDb?: number;
}

/** Peak of a sine of this level in 16-bit samples: 3.14 dBm0 fills them (ITU-T G.711). */
export function amplitudeOf(dbm0: number): number {
  return 32_124 * 10 ** ((dbm0 - 3.14) / 20);
}

/**
 * Keys one after the other at 8 kHz, ended by silence.
 *
 * @param random gives phases, noise and where the first key begins in its packet
 */
export function dialled(keys: readonly Digit[], tone: DualTone, random: () => number): Int16Array {
  const { onMs, offMs, lowDbm0, highDbm0, offset = 0, snrDb } = tone;
  const [lead, on, off] = [Math.floor(random() * 160), onMs * 8, offMs * 8];
  const samples = new Float64Array(lead + keys.length * (on + off) + 480);
  for (const [place, key] of keys.entries()) {
    const number = digits.indexOf(key);
    const turns = [low[number >> 2]!, high[number & 3]!].map(
      (each) => (2 * Math.PI * each * (1 + offset)) / 8_000,
    );
    const phases = turns.map(() => random() * 2 * Math.PI);
    const first = lead + place * (on + off);
    for (let at = 0; at < on; at += 1) {
      samples[first + at] =
        amplitudeOf(lowDbm0) * Math.sin(turns[0]! * at + phases[0]!) +
        amplitudeOf(highDbm0) * Math.sin(turns[1]! * at + phases[1]!);
    }
  }
  if (snrDb !== undefined) {
    const power = (amplitudeOf(lowDbm0) ** 2 + amplitudeOf(highDbm0) ** 2) / 2;
    const deviation = Math.sqrt(power / 10 ** (snrDb / 10));
    for (let at = 0; at < samples.length; at += 1) samples[at]! += deviation * normal(random);
  }
  return Int16Array.from(samples, (sample) => Math.max(-32_768, Math.min(32_767, Math.round(sample))));
}

/** Box and Muller's. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
