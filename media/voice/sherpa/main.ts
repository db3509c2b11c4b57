/**
 * Speech recognition as a process of its own: the library ends the process that it is in where a model cannot be read. Options come in the
 * environment; where it listens goes to the parent by IPC.
 */
import { setPriority } from 'node:os';
import { z } from 'zod';
import { modelIn, type ModelFiles } from './model-folder.ts';
import type { OnlineRecognizerConfig } from './sherpa-onnx.d.ts';
import { serveSpeech } from './speech-server.ts';

const options = z.strictObject({ folders: z.array(z.string()), port: z.int() });
const { folders, port } = options.parse(JSON.parse(process.env['TACET_SPEECH'] ?? '{}'));

// Who is not understood in time is heard as any speech is; packets and set-ups have nothing in their place.
setPriority(0, 2);

const { default: sherpa } = await import('sherpa-onnx-node');
const files = await Promise.all(folders.map(modelIn));
const server = await serveSpeech(
  files.map((model) => new sherpa.OnlineRecognizer(configOf(model))),
  port,
);
process.send?.({ port: server.port });

// The agent's end of the channel is gone: it stopped, or was killed.
process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => undefined);

function configOf(model: ModelFiles): OnlineRecognizerConfig {
  const { tokens } = model;
  const files =
    model.kind === 'ctc'
      ? { zipformer2Ctc: { model: model.model } }
      : { transducer: { encoder: model.encoder, decoder: model.decoder, joiner: model.joiner } };
  return {
    featConfig: { sampleRate: 16_000, featureDim: 80 },
    modelConfig: { ...files, tokens, numThreads: 1, provider: 'cpu', debug: 0 },
    decodingMethod: 'greedy_search',
    enableEndpoint: true,
  };
}
