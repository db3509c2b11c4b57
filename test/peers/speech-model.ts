/**
 * Streaming models that sherpa-onnx runs, made here because none can be had as a package: what they understand is a tone of 1,000 Hz
 * as "non" and one of 2,000 Hz as "oui". Shapes and metadata are those of a Zipformer.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { floats, node, onnx, wholeNumbers, type Tensor } from './onnx.ts';

const vocabulary = ['<blk>', '<unk>', '▁non', '▁oui'];
const words = vocabulary.length;
const bins = 80;
/** Of 80 mel bins up to 7,600 Hz, those around either tone. */
const binsOf: Record<number, readonly [number, number]> = { 2: [26, 30], 3: [41, 45] };
const framesOut = 8;

/** The states of one layer of an encoder and of what is before it, which these models only pass on. */
const states: Tensor[] = [
  { name: 'cached_key_0', dimensions: [2, 'N', 4] },
  { name: 'cached_nonlin_attn_0', dimensions: [1, 'N', 2, 3] },
  { name: 'cached_val1_0', dimensions: [2, 'N', 4] },
  { name: 'cached_val2_0', dimensions: [2, 'N', 4] },
  { name: 'cached_conv1_0', dimensions: ['N', 4, 1] },
  { name: 'cached_conv2_0', dimensions: ['N', 4, 1] },
  { name: 'embed_states', dimensions: ['N', 128, 3, 19] },
  { name: 'processed_lens', dimensions: ['N'], whole: true },
];
const metadata = {
  model_type: 'zipformer2',
  version: 1,
  encoder_dims: 4,
  query_head_dims: 2,
  value_head_dims: 2,
  num_heads: 2,
  num_encoder_layers: 1,
  cnn_module_kernels: 3,
  left_context_len: 2,
  T: 45,
  decode_chunk_len: 32,
};

/** How loud either tone is in a piece of 450 ms, for each of the frames that come of it; nobody has spoken where both are quiet. */
function encoder(output: string, normalised: boolean): Uint8Array {
  const weights = Array.from({ length: bins * words }, (_, index) => {
    const [bin, word] = [Math.floor(index / words), index % words];
    const [from, to] = binsOf[word] ?? [bins, bins];
    return bin >= from && bin <= to ? 1 : 0;
  });
  const scores = normalised ? 'scores' : output;
  return onnx({
    nodes: [
      node('ReduceMean', ['x'], ['mean'], { axes: [1], keepdims: 1 }),
      node('MatMul', ['mean', 'weights'], ['levels']),
      node('Add', ['levels', 'bias'], ['one']),
      node('Concat', new Array<string>(framesOut).fill('one'), [scores], { axis: 1 }),
      ...(normalised ? [node('LogSoftmax', [scores], [output], { axis: 2 })] : []),
      ...states.map(({ name }) => node('Identity', [name], [`new_${name}`])),
    ],
    inputs: [{ name: 'x', dimensions: ['N', 45, bins] }, ...states],
    outputs: [
      { name: output, dimensions: ['N', framesOut, words] },
      ...states.map((state) => ({ ...state, name: `new_${state.name}` })),
    ],
    constants: [floats('weights', [bins, words], weights), floats('bias', [words], [0, -1_000, 0, 0])],
    metadata,
  });
}

/** A transducer: a word is not said again until another was. */
export async function makeTransducer(folder: string): Promise<void> {
  const said = Array.from({ length: words * words }, (_, index) => {
    const [before, now] = [Math.floor(index / words), index % words];
    return before === now && now !== 0 ? -10_000 : 0;
  });
  const decoder = onnx({
    nodes: [
      node('Gather', ['y', 'last'], ['before'], { axis: 1 }),
      node('Gather', ['said', 'before'], ['decoder_out'], { axis: 0 }),
    ],
    inputs: [{ name: 'y', dimensions: ['N', 2], whole: true }],
    outputs: [{ name: 'decoder_out', dimensions: ['N', words] }],
    constants: [wholeNumbers('last', [], [1]), floats('said', [words, words], said)],
    metadata: { context_size: 2, vocab_size: words },
  });
  const joiner = onnx({
    nodes: [node('Add', ['encoder_out', 'decoder_out'], ['logit'])],
    inputs: ['encoder_out', 'decoder_out'].map((name) => ({ name, dimensions: ['N', words] })),
    outputs: [{ name: 'logit', dimensions: ['N', words] }],
    metadata: { joiner_dim: words },
  });
  await write(folder, {
    'encoder-epoch-1-avg-1.onnx': encoder('encoder_out', false),
    'decoder-epoch-1-avg-1.onnx': decoder,
    'joiner-epoch-1-avg-1.onnx': joiner,
  });
}

export async function makeCtc(folder: string): Promise<void> {
  await write(folder, { 'model.int8.onnx': encoder('log_probs', true) });
}

async function write(folder: string, models: Record<string, Uint8Array>): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tokens = vocabulary.map((word, index) => `${word} ${index}\n`).join('');
  await writeFile(join(folder, 'tokens.txt'), tokens);
  for (const [name, bytes] of Object.entries(models)) await writeFile(join(folder, name), bytes);
}
