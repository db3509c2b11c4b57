/**
 * Types of sherpa-onnx-node 1.13 for what streaming recognition uses; the package has none that TypeScript reads. At run time it
 * is CommonJS: there is a default export and nothing else.
 */

export interface OnlineStream {
  /** Samples between -1 and 1, at any rate: it resamples to the model's. */
  acceptWaveform(audio: { sampleRate: number; samples: Float32Array }): void;
  inputFinished(): void;
}

export interface OnlineResult {
  text: string;
  tokens: string[];
  /** Logarithm of each token's posterior; not from every kind of model. */
  ys_probs: number[];
}

export interface OnlineRecognizerConfig {
  featConfig: { sampleRate: number; featureDim: number };
  modelConfig: {
    transducer?: { encoder: string; decoder: string; joiner: string };
    zipformer2Ctc?: { model: string };
    tokens: string;
    numThreads: number;
    provider: 'cpu';
    debug: 0;
  };
  decodingMethod: 'greedy_search';
  enableEndpoint: boolean;
}

/** What it cannot read ends the process that it is in, with a line on standard error. */
declare class OnlineRecognizer {
  constructor(config: OnlineRecognizerConfig);
  createStream(): OnlineStream;
  isReady(stream: OnlineStream): boolean;
  decode(stream: OnlineStream): void;
  isEndpoint(stream: OnlineStream): boolean;
  reset(stream: OnlineStream): void;
  getResult(stream: OnlineStream): OnlineResult;
}

declare const sherpa: { OnlineRecognizer: typeof OnlineRecognizer };
export type { OnlineRecognizer };
export default sherpa;
