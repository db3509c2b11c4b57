/**
 * Silero's speech detector (version 5, its branch for 8 kHz) on typed arrays: how likely it is that somebody speaks in a piece of
 * 32 ms. Transform, four convolutions, a memory, a decision; every step is the one of its ONNX graph, to single precision.
 */
import type { SpeechModel } from './model.ts';

/** Samples of a piece at 8 kHz, and of the one before that are looked at with it. */
export const pieceSamples = 256;
const contextSamples = 32;
/** Mirrored at the end. */
const paddedSamples = contextSamples + pieceSamples + 32;

const frames = 4;
const bins = 65;
const transformLength = 128;
const transformStep = 64;
const units = 128;

export class SpeechDetector {
  readonly #model: SpeechModel;
  readonly #padded = new Float32Array(paddedSamples);
  readonly #spectrum = new Float32Array(bins * frames);
  readonly #layers: readonly Layer[];
  readonly #gates = new Float32Array(4 * units);
  readonly #hidden = new Float32Array(units);
  readonly #cell = new Float32Array(units);

  constructor(model: SpeechModel) {
    this.#model = model;
    const [first, second, third, fourth] = model.encoder;
    this.#layers = [
      new Layer(first!, bins, frames, 1),
      new Layer(second!, 128, frames, 2),
      new Layer(third!, 64, 2, 2),
      new Layer(fourth!, 64, 1, 1),
    ];
  }

  /** @param piece 256 samples between -1 and 1, the next of the stream. @returns 0 to 1 */
  probability(piece: Float32Array): number {
    this.#take(piece);
    this.#transform();
    let heard: Float32Array = this.#spectrum;
    for (const layer of this.#layers) heard = layer.convolve(heard);
    this.#remember(heard);
    const { weight, bias } = this.#model.decision;
    let sum = bias[0]!;
    for (let unit = 0; unit < units; unit += 1) sum += weight[unit]! * Math.max(0, this.#hidden[unit]!);
    return sigmoid(sum);
  }

  /** Forgets what was heard: the next piece is of another stream. */
  reset(): void {
    this.#padded.fill(0);
    this.#hidden.fill(0);
    this.#cell.fill(0);
  }

  #take(piece: Float32Array): void {
    const padded = this.#padded;
    padded.copyWithin(0, pieceSamples, pieceSamples + contextSamples);
    padded.set(piece, contextSamples);
    const end = contextSamples + pieceSamples;
    for (let at = 0; at < paddedSamples - end; at += 1) padded[end + at] = padded[end - 2 - at]!;
  }

  #transform(): void {
    const { transform } = this.#model;
    for (let bin = 0; bin < bins; bin += 1) {
      for (let frame = 0; frame < frames; frame += 1) {
        const from = frame * transformStep;
        const real = dot(transform, bin * transformLength, this.#padded, from, transformLength);
        const imaginary = dot(transform, (bins + bin) * transformLength, this.#padded, from, transformLength);
        this.#spectrum[bin * frames + frame] = Math.sqrt(real * real + imaginary * imaginary);
      }
    }
  }

  #remember(input: Float32Array): void {
    const { input: inputWeight, state, inputBias, stateBias } = this.#model.memory;
    const [gates, hidden, cell] = [this.#gates, this.#hidden, this.#cell];
    for (let gate = 0; gate < gates.length; gate += 1) {
      const row = gate * units;
      gates[gate] =
        inputBias[gate]! +
        stateBias[gate]! +
        dot(inputWeight, row, input, 0, units) +
        dot(state, row, hidden, 0, units);
    }
    for (let unit = 0; unit < units; unit += 1) {
      const kept = sigmoid(gates[units + unit]!) * cell[unit]!;
      cell[unit] = kept + sigmoid(gates[unit]!) * Math.tanh(gates[2 * units + unit]!);
      hidden[unit] = sigmoid(gates[3 * units + unit]!) * Math.tanh(cell[unit]!);
    }
  }
}

/** A convolution of three over time with one frame of silence at either end, and what is below zero cut off. */
class Layer {
  readonly #weight: Float32Array;
  readonly #bias: Float32Array;
  readonly #inputs: number;
  readonly #length: number;
  readonly #step: number;
  /** What one output frame sees: of each input the frame before, its own, and the one after. */
  readonly #seen: Float32Array;
  readonly #heard: Float32Array;

  constructor(
    { weight, bias }: { weight: Float32Array; bias: Float32Array },
    inputs: number,
    length: number,
    step: number,
  ) {
    this.#weight = weight;
    this.#bias = bias;
    this.#inputs = inputs;
    this.#length = length;
    this.#step = step;
    this.#seen = new Float32Array(inputs * 3);
    this.#heard = new Float32Array(bias.length * (Math.floor((length - 1) / step) + 1));
  }

  convolve(from: Float32Array): Float32Array {
    const [outputs, inputs, length, seen, heard] = [
      this.#bias.length,
      this.#inputs,
      this.#length,
      this.#seen,
      this.#heard,
    ];
    const steps = heard.length / outputs;
    for (let place = 0; place < steps; place += 1) {
      const centre = place * this.#step;
      for (let input = 0; input < inputs; input += 1) {
        const frame = input * length + centre;
        seen[input * 3] = centre === 0 ? 0 : from[frame - 1]!;
        seen[input * 3 + 1] = from[frame]!;
        seen[input * 3 + 2] = centre + 1 < length ? from[frame + 1]! : 0;
      }
      for (let output = 0; output < outputs; output += 1) {
        const sum = this.#bias[output]! + dot(this.#weight, output * seen.length, seen, 0, seen.length);
        heard[output * steps + place] = Math.max(0, sum);
      }
    }
    return heard;
  }
}

/** Sum of products; four sums at once keep the processor busy. */
function dot(
  one: Float32Array,
  oneFrom: number,
  other: Float32Array,
  otherFrom: number,
  length: number,
): number {
  let first = 0;
  let second = 0;
  let third = 0;
  let fourth = 0;
  let at = 0;
  for (; at + 3 < length; at += 4) {
    first += one[oneFrom + at]! * other[otherFrom + at]!;
    second += one[oneFrom + at + 1]! * other[otherFrom + at + 1]!;
    third += one[oneFrom + at + 2]! * other[otherFrom + at + 2]!;
    fourth += one[oneFrom + at + 3]! * other[otherFrom + at + 3]!;
  }
  for (; at < length; at += 1) first += one[oneFrom + at]! * other[otherFrom + at]!;
  return first + second + (third + fourth);
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
