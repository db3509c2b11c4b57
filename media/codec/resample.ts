/** From 8 to 16 kHz. */

/** Half-band low-pass, a sinc under a Hann window: the taps between samples, one side; the other is its mirror. */
const reach = 16;
const taps = Float64Array.from({ length: reach }, (_, at) => {
  const distance = at + 0.5;
  const window = 0.5 + 0.5 * Math.cos((Math.PI * distance) / (reach + 0.5));
  return (Math.sin(Math.PI * distance) / (Math.PI * distance)) * window;
});

/** Doubles the sampling rate of one stream; pieces follow one another. Delays by `reach` samples: 2 ms. */
export class Doubler {
  #history = new Int16Array(2 * reach);

  double(samples: Int16Array): Int16Array {
    const known = new Int16Array(2 * reach + samples.length);
    known.set(this.#history);
    known.set(samples, 2 * reach);
    this.#history = known.slice(-2 * reach);
    const doubled = new Int16Array(2 * samples.length);
    for (let at = 0; at < samples.length; at++) {
      const centre = at + reach;
      let between = 0;
      for (let tap = 0; tap < reach; tap++)
        between += taps[tap]! * (known[centre - tap]! + known[centre + 1 + tap]!);
      doubled[2 * at] = known[centre]!;
      doubled[2 * at + 1] = Math.min(Math.max(Math.round(between), -32_768), 32_767);
    }
    return doubled;
  }
}

/** Doubles the sampling rate of a whole piece: no delay, nothing lost at its end. */
export function doubleWhole(samples: Int16Array): Int16Array {
  const doubler = new Doubler();
  doubler.double(samples.subarray(0, reach));
  const rest = new Int16Array(samples.length);
  rest.set(samples.subarray(reach));
  return doubler.double(rest);
}
