/** The store's end of the thread that makes artefacts: orders go in one by one, so that one call's audio is in memory. */
import { Worker } from 'node:worker_threads';
import { TacetError } from '../../config/errors.ts';
import type { ArtefactOrder } from './artefact.ts';
import type { Made } from './artefact-worker.ts';
import type { RecordingDetails } from './catalogue.ts';

/** It could not be made; the journal is as it was, and is tried again when the store starts. */
export class ArtefactFailed extends TacetError {
  readonly recording: string;
  constructor(recording: string, detail: string) {
    super(`recording ${recording}: no artefact (${detail}); its journal stays`);
    this.recording = recording;
  }
}

export class ArtefactMaker implements AsyncDisposable {
  /** Started at once: the first call that ends need not wait for it. */
  #worker: Worker | undefined = this.#start();
  #last: Promise<unknown> = Promise.resolve();

  /** @throws ArtefactFailed */
  async make(order: ArtefactOrder): Promise<RecordingDetails> {
    const turn = this.#last.then(() => this.#ask(order));
    this.#last = turn.catch(() => undefined);
    const made = await turn;
    if ('problem' in made) throw new ArtefactFailed(order.header.recording, made.problem);
    return made.details;
  }

  /** Makes what was ordered, and ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    await this.#worker?.terminate();
  }

  #ask(order: ArtefactOrder): Promise<Made> {
    const worker = (this.#worker ??= this.#start());
    const { promise, resolve } = Promise.withResolvers<Made>();
    const made = (answer: Made): void => resolve(answer);
    const lost = (): void => resolve({ problem: 'its thread ended' });
    worker.once('message', made).once('exit', lost);
    worker.postMessage(order);
    return promise.finally(() => worker.off('message', made).off('exit', lost));
  }

  #start(): Worker {
    const worker = new Worker(new URL('./artefact-worker.ts', import.meta.url), { name: 'artefacts' });
    const ended = (): void => {
      if (this.#worker === worker) this.#worker = undefined;
    };
    return worker.on('error', ended).on('exit', ended);
  }
}
