/**
 * ITU-T G.722 at 64 kbit/s: 16 kHz linear PCM in two bands, each coded as an adaptive difference (6 and 2 bits). Integer
 * arithmetic and names of blocks as in the recommendation, so that both ends stay in step bit by bit.
 */

/** Of the quadrature mirror filters that split and join the bands (table 11), the odd taps; the even are their mirror. */
const filter = Int32Array.of(3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11);
const filterTaps = 24;

/** Lower band: decision levels of the quantiser (table 14) and the codes on either side of nought (table 17). */
const decisions = Int32Array.of(
  0,
  35,
  72,
  110,
  150,
  190,
  233,
  276,
  323,
  370,
  422,
  473,
  530,
  587,
  650,
  714,
  786,
  858,
  940,
  1023,
  1121,
  1219,
  1339,
  1458,
  1612,
  1765,
  1980,
  2195,
  2557,
  2919,
);
const negativeCodes = Uint8Array.of(
  0,
  63,
  62,
  31,
  30,
  29,
  28,
  27,
  26,
  25,
  24,
  23,
  22,
  21,
  20,
  19,
  18,
  17,
  16,
  15,
  14,
  13,
  12,
  11,
  10,
  9,
  8,
  7,
  6,
  5,
  4,
);
const positiveCodes = Uint8Array.of(
  0,
  61,
  60,
  59,
  58,
  57,
  56,
  55,
  54,
  53,
  52,
  51,
  50,
  49,
  48,
  47,
  46,
  45,
  44,
  43,
  42,
  41,
  40,
  39,
  38,
  37,
  36,
  35,
  34,
  33,
  32,
);
/** What a code of the lower band stands for: by its 6 bits for the ear, by its upper 4 for the predictor. */
const levels6 = Int32Array.of(
  -136,
  -136,
  -136,
  -136,
  -24808,
  -21904,
  -19008,
  -16704,
  -14984,
  -13512,
  -12280,
  -11192,
  -10232,
  -9360,
  -8576,
  -7856,
  -7192,
  -6576,
  -6000,
  -5456,
  -4944,
  -4464,
  -4008,
  -3576,
  -3168,
  -2776,
  -2400,
  -2032,
  -1688,
  -1360,
  -1040,
  -728,
  24808,
  21904,
  19008,
  16704,
  14984,
  13512,
  12280,
  11192,
  10232,
  9360,
  8576,
  7856,
  7192,
  6576,
  6000,
  5456,
  4944,
  4464,
  4008,
  3576,
  3168,
  2776,
  2400,
  2032,
  1688,
  1360,
  1040,
  728,
  432,
  136,
  -432,
  -136,
);
const levels4 = Int32Array.of(
  0,
  -20456,
  -12896,
  -8968,
  -6288,
  -4240,
  -2584,
  -1200,
  20456,
  12896,
  8968,
  6288,
  4240,
  2584,
  1200,
  0,
);
const lowSteps = Int32Array.of(-60, -30, 58, 172, 334, 538, 1198, 3042);
const lowStepOf = Uint8Array.of(0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0);
/** Higher band: 2 bits. */
const levels2 = Int32Array.of(-7408, -1616, 7408, 1616);
const highDecision = 564;
const highSteps = Int32Array.of(798, -214, 798, -214);
/** 2^(n/32) in Q11: from the logarithmic to the linear scale factor (block SCALEL). */
const exponentials = Int32Array.of(
  2048,
  2093,
  2139,
  2186,
  2233,
  2282,
  2332,
  2383,
  2435,
  2489,
  2543,
  2599,
  2656,
  2714,
  2774,
  2834,
  2896,
  2960,
  3025,
  3091,
  3158,
  3228,
  3298,
  3371,
  3444,
  3520,
  3597,
  3676,
  3756,
  3838,
  3922,
  4008,
);

function saturate(value: number): number {
  return value > 32_767 ? 32_767 : value < -32_768 ? -32_768 : value;
}

function limit(value: number, bound: number): number {
  return value > bound ? bound : value < -bound ? -bound : value;
}

/** One band's adaptive predictor and scale factor, the same at both ends. */
class Band {
  /** What the predictor expects next. */
  expected = 0;
  scale: number;
  #logScale = 0;
  #zeroPart = 0;
  readonly #largestLogScale: number;
  readonly #shift: number;
  readonly #reconstructed = new Int32Array(3);
  readonly #partial = new Int32Array(3);
  readonly #poles = new Int32Array(3);
  readonly #differences = new Int32Array(7);
  readonly #zeros = new Int32Array(7);

  constructor(kind: 'low' | 'high') {
    this.scale = kind === 'low' ? 32 : 8;
    this.#largestLogScale = kind === 'low' ? 18_432 : 22_528;
    this.#shift = kind === 'low' ? 8 : 10;
  }

  /** Takes a quantised difference and how the scale steps for it (blocks LOGSCL, SCALEL and 4). */
  adapt(difference: number, step: number): void {
    const log = ((this.#logScale * 127) >> 7) + step;
    this.#logScale = Math.min(Math.max(log, 0), this.#largestLogScale);
    const shift = this.#shift - (this.#logScale >> 11);
    const exponential = exponentials[(this.#logScale >> 6) & 31]!;
    this.scale = (shift < 0 ? exponential << -shift : exponential >> shift) << 2;
    this.#predict(difference);
  }

  #predict(difference: number): void {
    const [r, p, d, zeros] = [this.#reconstructed, this.#partial, this.#differences, this.#zeros];
    d[0] = difference;
    r[0] = saturate(this.expected + difference);
    p[0] = saturate(this.#zeroPart + difference);
    this.#adaptPoles();
    const gain = difference === 0 ? 0 : 128;
    for (let tap = 6; tap > 0; tap--) {
      const towards = difference >> 15 === d[tap]! >> 15 ? gain : -gain;
      zeros[tap] = saturate(towards + ((zeros[tap]! * 32_640) >> 15));
    }
    for (let tap = 6; tap > 0; tap--) d[tap] = d[tap - 1]!;
    for (let tap = 2; tap > 0; tap--) {
      r[tap] = r[tap - 1]!;
      p[tap] = p[tap - 1]!;
    }
    let zeroPart = 0;
    for (let tap = 6; tap > 0; tap--) zeroPart += (zeros[tap]! * saturate(2 * d[tap]!)) >> 15;
    this.#zeroPart = saturate(zeroPart);
    const polePart =
      ((this.#poles[1]! * saturate(2 * r[1]!)) >> 15) + ((this.#poles[2]! * saturate(2 * r[2]!)) >> 15);
    this.expected = saturate(saturate(polePart) + this.#zeroPart);
  }

  /** Blocks UPPOL2 and UPPOL1. */
  #adaptPoles(): void {
    const [p, poles] = [this.#partial, this.#poles];
    const sign = p[0]! >> 15;
    const quadruple = saturate(poles[1]! << 2);
    const towards = sign === p[1]! >> 15 ? -quadruple : quadruple;
    const second = limit(
      (Math.min(towards, 32_767) >> 7) + (sign === p[2]! >> 15 ? 128 : -128) + ((poles[2]! * 32_512) >> 15),
      12_288,
    );
    const first = saturate((sign === p[1]! >> 15 ? 192 : -192) + ((poles[1]! * 32_640) >> 15));
    poles[1] = limit(first, saturate(15_360 - second));
    poles[2] = second;
  }
}

/** Codes one stream; frames follow one another. */
export class G722Encoder {
  readonly #low = new Band('low');
  readonly #high = new Band('high');
  readonly #history = new Int32Array(filterTaps);

  /** A byte for every two samples of 16 kHz. */
  encode(samples: Int16Array): Uint8Array {
    const bytes = new Uint8Array(samples.length >> 1);
    const history = this.#history;
    for (let at = 0; at < bytes.length; at++) {
      history.copyWithin(0, 2);
      history[filterTaps - 2] = samples[2 * at]!;
      history[filterTaps - 1] = samples[2 * at + 1]!;
      let odd = 0;
      let even = 0;
      for (let tap = 0; tap < 12; tap++) {
        odd += history[2 * tap]! * filter[tap]!;
        even += history[2 * tap + 1]! * filter[11 - tap]!;
      }
      bytes[at] = (this.#encodeHigh((even - odd) >> 14) << 6) | this.#encodeLow((even + odd) >> 14);
    }
    return bytes;
  }

  #encodeLow(sample: number): number {
    const band = this.#low;
    const error = saturate(sample - band.expected);
    const magnitude = error >= 0 ? error : ~error;
    let interval = 1;
    while (interval < 30 && magnitude >= (decisions[interval]! * band.scale) >> 12) interval += 1;
    const code = error < 0 ? negativeCodes[interval]! : positiveCodes[interval]!;
    band.adapt((band.scale * levels4[code >> 2]!) >> 15, lowSteps[lowStepOf[code >> 2]!]!);
    return code;
  }

  #encodeHigh(sample: number): number {
    const band = this.#high;
    const error = saturate(sample - band.expected);
    const magnitude = error >= 0 ? error : ~error;
    const outer = magnitude >= (highDecision * band.scale) >> 12;
    const code = (error < 0 ? 0 : 2) + (outer ? 0 : 1);
    band.adapt((band.scale * levels2[code]!) >> 15, highSteps[code]!);
    return code;
  }
}

/** Decodes one stream; frames follow one another. */
export class G722Decoder {
  readonly #low = new Band('low');
  readonly #high = new Band('high');
  readonly #history = new Int32Array(filterTaps);

  /** Two samples of 16 kHz for every byte. */
  decode(bytes: Uint8Array): Int16Array {
    const samples = new Int16Array(bytes.length * 2);
    const history = this.#history;
    for (let at = 0; at < bytes.length; at++) {
      const low = this.#decodeLow(bytes[at]! & 63);
      const high = this.#decodeHigh(bytes[at]! >> 6);
      history.copyWithin(0, 2);
      history[filterTaps - 2] = low + high;
      history[filterTaps - 1] = low - high;
      let first = 0;
      let second = 0;
      for (let tap = 0; tap < 12; tap++) {
        second += history[2 * tap]! * filter[tap]!;
        first += history[2 * tap + 1]! * filter[11 - tap]!;
      }
      samples[2 * at] = saturate(first >> 11);
      samples[2 * at + 1] = saturate(second >> 11);
    }
    return samples;
  }

  #decodeLow(code: number): number {
    const band = this.#low;
    const sample = band.expected + ((band.scale * levels6[code]!) >> 15);
    band.adapt((band.scale * levels4[code >> 2]!) >> 15, lowSteps[lowStepOf[code >> 2]!]!);
    return Math.min(Math.max(sample, -16_384), 16_383);
  }

  #decodeHigh(code: number): number {
    const band = this.#high;
    const difference = (band.scale * levels2[code]!) >> 15;
    const sample = band.expected + difference;
    band.adapt(difference, highSteps[code]!);
    return Math.min(Math.max(sample, -16_384), 16_383);
  }
}
