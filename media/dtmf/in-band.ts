/**
 * Keys as tones in the audio, for far ends that offer no telephone-event: ITU-T Q.23 tones, heard within the limits of ITU-T Q.24
 * (table A-1): each tone within 1.5 % of its frequency and at least at -25 dBm0, the two within 4 dB (high group louder) or 8 dB
 * (low group louder) of each other, for 40 ms or longer, 40 ms apart.
 *
 * What keeps speech from being taken for a key is that both tones must hold their frequency: it is measured by how far each tone's
 * phase has turned from one block to the next, and tones that are 3.5 % off, or wander, are none.
 */
import { decodeInto, type G711 } from '../codec/g711.ts';
import type { Digit } from '../plane.ts';

const sampleRate = 8_000;
const low = [697, 770, 852, 941];
const high = [1_209, 1_336, 1_477, 1_633];
const frequencies = [...low, ...high];
const keys: readonly Digit[] = [
  ...(['1', '2', '3', 'A', '4', '5', '6', 'B'] as const),
  ...(['7', '8', '9', 'C', '*', '0', '#', 'D'] as const),
];

/** Samples in a block and from one to the next: 15 ms and 5 ms. */
const blockSize = 120;
const hop = 40;
/** Blocks in a row that make a key: 40 ms hold five whatever their place, 20 ms never do. */
const wantedBlocks = 5;
/** Blocks without the key after which it was let go; a break of 10 ms does not end it (Q.24). */
const releaseBlocks = 5;
/** Peak of a sine of -27 dBm0: two dB below what must be heard. A sine of 3.14 dBm0 fills G.711 (ITU-T G.711 table 1). */
const leastAmplitude = 32_124 * 10 ** ((-27 - 3.14) / 20);
/** Greatest ratio of the amplitudes: beyond 4 dB and 8 dB by what noise adds. */
const highLouder = 10 ** (5.5 / 20);
const lowLouder = 10 ** (10.3 / 20);
/** Share of a block's energy that lies in the two tones. */
const purity = 0.75;
/** What of it lies in the low tone at least, whatever the high one is: speech is turned away by half of the work. */
const leastLowShare = purity / (1 + highLouder ** 2);
/** A tone's amplitude may differ by so much from the greatest of its key: a block that holds only part of it does not count. */
const steadiness = 0.8;
/** Between the 1.5 % that must be heard and the 3.5 % that must not. */
const greatestOffset = 0.028;

const taper = Float64Array.from(
  { length: blockSize },
  (_, at) => 0.54 - 0.46 * Math.cos((2 * Math.PI * at) / (blockSize - 1)),
);
const taperSum = taper.reduce((sum, value) => sum + value, 0);
const taperPower = taper.reduce((sum, value) => sum + value * value, 0);
const waves = frequencies.map((frequency) => {
  const turn = (2 * Math.PI * frequency) / sampleRate;
  return {
    cosine: taper.map((value, at) => value * Math.cos(turn * at)),
    sine: taper.map((value, at) => value * Math.sin(turn * at)),
    turnInHop: turn * hop,
  };
});

/** What is decoded of one packet: up to 128 ms. */
const linear = new Int16Array(1_024);

/** One far end's tones. Nothing is allocated while it listens. */
export class InBandReceiver {
  /** The last samples, oldest first; so many of them are there. */
  readonly #samples = new Float64Array(blockSize);
  #filled = 0;
  #expected = -1;
  readonly #amplitude = new Float64Array(frequencies.length);
  readonly #phase = new Float64Array(frequencies.length);
  readonly #phaseBefore = new Float64Array(frequencies.length);
  /** The key whose blocks are being counted, and how many there were. */
  #candidate = -1;
  #blocks = 0;
  #loudest = 0;
  readonly #offset = new Float64Array(2);
  /** The key that is held down. */
  #held = -1;
  #missed = 0;

  /**
   * @param timestamp RTP timestamp of the payload: where packets are missing, a key may be cut short but not heard twice
   * @returns the key that these samples complete, once a key
   */
  receive(
    codec: G711,
    packet: Uint8Array,
    from: number,
    length: number,
    timestamp: number,
  ): Digit | undefined {
    const samples = Math.min(length, linear.length);
    if (this.#expected !== -1 && timestamp !== this.#expected) this.#restart();
    this.#expected = (timestamp + length) >>> 0;
    decodeInto(codec, packet, from, samples, linear, 0, 1);
    let heard = -1;
    for (let at = 0; at < samples; at += 1) {
      this.#samples[this.#filled] = linear[at]!;
      this.#filled += 1;
      if (this.#filled < blockSize) continue;
      const key = this.#block();
      if (key >= 0) heard = key;
      this.#samples.copyWithin(0, hop);
      this.#filled = blockSize - hop;
    }
    return heard < 0 ? undefined : keys[heard];
  }

  #restart(): void {
    this.#filled = 0;
    this.#candidate = -1;
    this.#blocks = 0;
  }

  /** @returns the number of the key that this block completes, or -1 */
  #block(): number {
    const key = this.#keyOfBlock();
    if (this.#held >= 0) {
      this.#missed = key === this.#held ? 0 : this.#missed + 1;
      if (this.#missed >= releaseBlocks) this.#held = -1;
    }
    if (key < 0) {
      this.#candidate = -1;
      return -1;
    }
    const amplitude = this.#amplitude[key >> 2]! + this.#amplitude[4 + (key & 3)]!;
    if (key !== this.#candidate || amplitude < this.#loudest * steadiness) this.#begin(key, amplitude);
    else if (amplitude > this.#loudest / steadiness) this.#begin(key, amplitude);
    else this.#goOn(key, amplitude);
    if (this.#blocks < wantedBlocks || key === this.#held || !this.#isOnFrequency()) return -1;
    this.#held = key;
    this.#missed = 0;
    return key;
  }

  #begin(key: number, amplitude: number): void {
    this.#candidate = key;
    this.#blocks = 1;
    this.#loudest = amplitude;
    this.#offset.fill(0);
  }

  #goOn(key: number, amplitude: number): void {
    this.#blocks += 1;
    this.#loudest = Math.max(this.#loudest, amplitude);
    for (let group = 0; group < 2; group += 1) {
      const tone = group === 0 ? key >> 2 : 4 + (key & 3);
      const turned = this.#phase[tone]! - this.#phaseBefore[tone]! - waves[tone]!.turnInHop;
      const off = turned - 2 * Math.PI * Math.round(turned / (2 * Math.PI));
      this.#offset[group]! += (off * sampleRate) / (2 * Math.PI * hop) / frequencies[tone]!;
    }
  }

  #isOnFrequency(): boolean {
    const turns = this.#blocks - 1;
    return (
      Math.abs(this.#offset[0]!) <= greatestOffset * turns &&
      Math.abs(this.#offset[1]!) <= greatestOffset * turns
    );
  }

  /** The key whose two tones make up this block, or -1. */
  #keyOfBlock(): number {
    let energy = 0;
    for (let at = 0; at < blockSize; at += 1) energy += (taper[at]! * this.#samples[at]!) ** 2;
    // A sine's amplitude from the energy of a tapered block: both tones at the least level hold at least this.
    if (energy < leastAmplitude ** 2 * taperPower) return -1;
    this.#phaseBefore.set(this.#phase);
    this.#measure(0);
    const row = this.#loudestOf(0);
    const lows = this.#amplitude[row]!;
    if (lows < leastAmplitude || lows ** 2 * (taperPower / 2) < leastLowShare * energy) return -1;
    this.#measure(4);
    const column = this.#loudestOf(4);
    const highs = this.#amplitude[column]!;
    if (highs < leastAmplitude) return -1;
    if (highs > lows * highLouder || lows > highs * lowLouder) return -1;
    if ((lows ** 2 + highs ** 2) * (taperPower / 2) < purity * energy) return -1;
    return row * 4 + (column - 4);
  }

  /** Amplitudes and phases of the four tones of a group in this block. */
  #measure(first: number): void {
    for (let tone = first; tone < first + 4; tone += 1) {
      const { cosine, sine } = waves[tone]!;
      let real = 0;
      let imaginary = 0;
      for (let at = 0; at < blockSize; at += 1) {
        const sample = this.#samples[at]!;
        real += sample * cosine[at]!;
        imaginary -= sample * sine[at]!;
      }
      this.#amplitude[tone] = (2 * Math.hypot(real, imaginary)) / taperSum;
      this.#phase[tone] = Math.atan2(imaginary, real);
    }
  }

  #loudestOf(first: number): number {
    let loudest = first;
    for (let tone = first + 1; tone < first + 4; tone += 1)
      if (this.#amplitude[tone]! > this.#amplitude[loudest]!) loudest = tone;
    return loudest;
  }
}
