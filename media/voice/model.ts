/**
 * The weights of Silero's speech detector (version 5, MIT licence), read out of the ONNX file that lies in the npm package
 * `@ricky0123/vad-web`. An ONNX file is a protocol-buffers message (ModelProto > GraphProto > NodeProto > AttributeProto >
 * TensorProto); only its named constants are taken, of the branch for 8 kHz.
 */
import { readFile } from 'node:fs/promises';
import { TacetError } from '../../config/errors.ts';

/** The model is not there or is another: nothing can be heard by voice. */
export class ModelUnusable extends TacetError {}

/** Matrices in rows, as the file has them. */
export interface SpeechModel {
  /** Short-time Fourier transform: 65 cosines, then 65 sines, of 128 samples each. */
  transform: Float32Array;
  encoder: readonly { weight: Float32Array; bias: Float32Array }[];
  /** Long short-term memory of 128: gates in the order input, forget, cell, output. */
  memory: { input: Float32Array; state: Float32Array; inputBias: Float32Array; stateBias: Float32Array };
  decision: { weight: Float32Array; bias: Float32Array };
}

const file = new URL(import.meta.resolve('@ricky0123/vad-web/dist/silero_vad_v5.onnx'));
/** Constants of the branch for 8 kHz. */
const branch = 'If_0_else_branch__Inline_0__';

/** @throws ModelUnusable */
export async function loadSpeechModel(): Promise<SpeechModel> {
  let constants: Map<string, Float32Array>;
  try {
    constants = constantsOf(await readFile(file));
  } catch (error) {
    throw new ModelUnusable(
      `the speech detector cannot be read: ${String(error)}; install Tacet's dependencies anew`,
    );
  }
  const of = (name: string, length: number): Float32Array => {
    const found = constants.get(branch + name);
    if (found?.length !== length)
      throw new ModelUnusable(`the speech detector has no ${name} of ${length} numbers`);
    return found;
  };
  const layers: [outputs: number, inputs: number][] = [
    [128, 65],
    [64, 128],
    [64, 64],
    [128, 64],
  ];
  return {
    transform: of('stft.forward_basis_buffer', 130 * 128),
    encoder: layers.map(([outputs, inputs], layer) => ({
      weight: of(`encoder.${layer}.reparam_conv.weight`, outputs * inputs * 3),
      bias: of(`encoder.${layer}.reparam_conv.bias`, outputs),
    })),
    memory: {
      input: of('decoder.rnn.weight_ih', 512 * 128),
      state: of('decoder.rnn.weight_hh', 512 * 128),
      inputBias: of('decoder.rnn.bias_ih', 512),
      stateBias: of('decoder.rnn.bias_hh', 512),
    },
    decision: { weight: of('decoder.decoder.2.weight', 128), bias: of('decoder.decoder.2.bias', 1) },
  };
}

type Field = [number: number, value: Uint8Array | number];

/** Fields of a protocol-buffers message: bytes where it holds bytes or messages, numbers where it holds small whole numbers. */
function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  for (let at = 0; at < bytes.length;) {
    const varint = (): number => {
      let value = 0;
      for (let factor = 1; ; factor *= 128) {
        const byte = bytes[at];
        if (byte === undefined) throw new ModelUnusable('the file ends in the middle');
        at += 1;
        value += (byte & 127) * factor;
        if (byte < 128) return value;
      }
    };
    const key = varint();
    const [number, wire] = [Math.floor(key / 8), key & 7];
    if (wire === 0) yield [number, varint()];
    else {
      const length = wire === 2 ? varint() : wire === 1 ? 8 : 4;
      yield [number, bytes.subarray(at, at + length)];
      at += length;
    }
  }
}

function messagesIn(bytes: Uint8Array, wanted: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (const [number, value] of fieldsOf(bytes))
    if (number === wanted && typeof value !== 'number') found.push(value);
  return found;
}

/** Named constants of single-precision numbers, of the graph and of the graphs within it. */
function constantsOf(model: Uint8Array): Map<string, Float32Array> {
  const constants = new Map<string, Float32Array>();
  const take = (graph: Uint8Array): void => {
    for (const node of messagesIn(graph, 1)) {
      const [name] = messagesIn(node, 2);
      for (const attribute of messagesIn(node, 5)) {
        for (const inner of messagesIn(attribute, 6)) take(inner);
        const [tensor] = messagesIn(attribute, 5);
        const [raw] = tensor === undefined ? [] : messagesIn(tensor, 9);
        if (name !== undefined && raw !== undefined && raw.length % 4 === 0)
          constants.set(Buffer.from(name).toString(), new Float32Array(new Uint8Array(raw).buffer));
      }
    }
  };
  for (const graph of messagesIn(model, 7)) take(graph);
  return constants;
}
