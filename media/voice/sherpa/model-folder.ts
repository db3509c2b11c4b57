/** A folder with a streaming model as they are published for sherpa-onnx: which of its files are the model. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, TacetError } from '../../../config/errors.ts';

/** There is no streaming model in it that we know how to run. */
export class ModelFolderUnusable extends TacetError {
  readonly folder: string;
  constructor(folder: string, why: string) {
    super(
      `${folder} has no streaming model for sherpa-onnx: ${why}. Wanted: tokens.txt, and either encoder*.onnx, decoder*.onnx and ` +
        'joiner*.onnx (a transducer) or one other *.onnx (a Zipformer with CTC)',
    );
    this.folder = folder;
  }
}

export type ModelFiles = { tokens: string } & (
  { kind: 'transducer'; encoder: string; decoder: string; joiner: string } | { kind: 'ctc'; model: string }
);

/** @throws ModelFolderUnusable */
export async function modelIn(folder: string): Promise<ModelFiles> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw new ModelFolderUnusable(folder, messageOf(error));
  });
  if (!names.includes('tokens.txt')) throw new ModelFolderUnusable(folder, 'tokens.txt is missing');
  const tokens = join(folder, 'tokens.txt');
  const models = names.filter((name) => name.endsWith('.onnx'));
  const [encoder, decoder, joiner] = ['encoder', 'decoder', 'joiner'].map((part) =>
    lighter(models.filter((name) => name.startsWith(part))),
  );
  if (encoder !== undefined && decoder !== undefined && joiner !== undefined) {
    const [one, two, three] = [encoder, decoder, joiner].map((name) => join(folder, name));
    return { kind: 'transducer', tokens, encoder: one!, decoder: two!, joiner: three! };
  }
  const model = lighter(models);
  if (model === undefined || encoder !== undefined || decoder !== undefined || joiner !== undefined)
    throw new ModelFolderUnusable(folder, `it holds ${models.join(', ') || 'no *.onnx'}`);
  return { kind: 'ctc', tokens, model: join(folder, model) };
}

/** Of the same model in two precisions, the one that costs a processor less. */
function lighter(names: readonly string[]): string | undefined {
  return names.find((name) => name.endsWith('.int8.onnx')) ?? names.toSorted()[0];
}
