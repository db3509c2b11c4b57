/** Who is listened to for a voice: the main thread's end of the thread that hears them. */
import { MessageChannel, Worker } from 'node:worker_threads';
import type { MediaSide } from '../plane.ts';
import type { Prompt } from '../prompts/prompt.ts';
import type { HeardSpeech } from './any-speech.ts';
import type { VoiceOrder, VoiceReport } from './messages.ts';

/** Somebody who is listened to, until it is let go. */
export interface ListenedTo extends Disposable {
  /** Aborted at the first utterance, with a `HeardSpeech` as its reason. */
  readonly spoke: AbortSignal;
  /** A prompt begins: what comes back of it is no voice. */
  plays(prompt: Prompt): void;
}

export interface VoicesOptions {
  /** Once, when nobody can be heard by voice any more: the model is missing, or the thread died. */
  onLost: (reason: string) => void;
}

export class Voices implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #listening = new Map<number, AbortController>();
  readonly #ready = Promise.withResolvers<undefined>();
  #lastId = 0;
  #lost = false;

  constructor({ onLost }: VoicesOptions) {
    this.#worker = new Worker(new URL('./voice-worker.ts', import.meta.url), { name: 'voices' });
    const lose = (reason: string): void => {
      if (this.#lost) return;
      this.#lost = true;
      this.#ready.resolve(undefined);
      onLost(reason);
    };
    this.#worker.on('message', (report: VoiceReport) => {
      if (report.tell === 'ready') this.#ready.resolve(undefined);
      else if (report.tell === 'unusable') lose(report.reason);
      else
        this.#listening.get(report.id)?.abort({ score: report.score, at: report.at } satisfies HeardSpeech);
    });
    this.#worker.on('error', (error) => lose(String(error)));
    this.#worker.on('exit', (code) => lose(`the thread exited with ${code}`));
    // A process that has nothing else to do ends.
    this.#worker.unref();
  }

  /** Resolves when the thread listens, or never will. */
  get ready(): Promise<undefined> {
    return this.#ready.promise;
  }

  /** Whether somebody who speaks would be heard. */
  get hears(): boolean {
    return !this.#lost;
  }

  listen(side: Pick<MediaSide, 'listen'>): ListenedTo {
    const id = ++this.#lastId;
    const spoke = new AbortController();
    this.#listening.set(id, spoke);
    const { port1, port2 } = new MessageChannel();
    this.#worker.postMessage({ do: 'listen', id, audio: port1 } satisfies VoiceOrder, [port1]);
    const heard = side.listen(port2);
    return {
      spoke: spoke.signal,
      plays: ({ encoded }) => {
        const prompt = new Uint8Array(encoded.PCMA.bytes);
        this.#worker.postMessage({ do: 'plays', id, prompt } satisfies VoiceOrder);
      },
      [Symbol.dispose]: () => {
        heard[Symbol.dispose]();
        this.#listening.delete(id);
        this.#worker.postMessage({ do: 'leave', id } satisfies VoiceOrder);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lost = true;
    await this.#worker.terminate();
  }
}
