/** Who is listened to for a voice: the main thread's end of the thread that hears them. */
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Language } from '../../config/schema/values.ts';
import type { EpochMicros } from '../../config/units.ts';
import type { MediaSide } from '../plane.ts';
import type { Prompt } from '../prompts/prompt.ts';
import type { HeardSpeech } from './any-speech.ts';
import type { RecogniserPlace, VoiceOrder, VoiceReport } from './messages.ts';
import type { HeardWord } from './recogniser.ts';
import type { StreamFault } from './vosk.ts';

/** Somebody who is listened to, until it is let go. */
export interface ListenedTo extends Disposable {
  /** Aborted when a refusal was heard, with a `HeardVoice` as its reason. */
  readonly spoke: AbortSignal;
  /** A prompt begins: what comes back of it is no voice. */
  plays(prompt: Prompt): void;
  /** The party has hung up: resolves when all that it said has been understood, or will not be. */
  heardOut(): Promise<void>;
  /** The announcement is over: from five seconds later on a recogniser takes only the unmistakable for a refusal. */
  told(at: EpochMicros): void;
}

/** Any speech where that is a refusal, or the words of one. */
export type HeardVoice = ({ layer: 'any-speech' } & HeardSpeech) | ({ layer: 'recogniser' } & HeardWord);

export interface VoicesOptions {
  /** Once, when nobody can be heard by voice any more: the model is missing, or the thread died. */
  onLost: (reason: string) => void;
  /** Where a site runs speech servers. */
  recogniser?: RecogniserPlace | undefined;
  /** A call's stream to a speech server is lost; another is opened, and any speech counts meanwhile. */
  onFault?: (server: string, fault: StreamFault, detail: string) => void;
  /** A refusal that was acted upon before its utterance was over, when it is over. */
  onFinal?: (verdict: 'confirmed' | 'withdrawn') => void;
}

export class Voices implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #listening = new Map<number, AbortController>();
  /** Who waits until a party has been heard out. */
  readonly #hearing = new Map<number, () => void>();
  readonly #ready = Promise.withResolvers<undefined>();
  #lastId = 0;
  #lost = false;

  constructor({ onLost, recogniser, onFault, onFinal }: VoicesOptions) {
    this.#worker = new Worker(new URL('./voice-worker.ts', import.meta.url), {
      name: 'voices',
      workerData: recogniser,
    });
    const lose = (reason: string): void => {
      if (this.#lost) return;
      this.#lost = true;
      this.#ready.resolve(undefined);
      for (const heardOut of this.#hearing.values()) heardOut();
      onLost(reason);
    };
    this.#worker.on('message', (report: VoiceReport) => {
      switch (report.tell) {
        case 'ready':
          return this.#ready.resolve(undefined);
        case 'unusable':
          return lose(report.reason);
        case 'speech':
          return this.#heard(report.id, { layer: 'any-speech', score: report.score, at: report.at });
        case 'word':
          return this.#heard(report.id, { layer: 'recogniser', ...report.heard });
        case 'final':
          return onFinal?.(report.verdict);
        case 'heard-out':
          return this.#hearing.get(report.id)?.();
        case 'fault':
          return onFault?.(report.server, report.fault, report.detail);
      }
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

  /** @param language in which a recogniser is to understand the party; left out: any speech is a refusal */
  listen(side: Pick<MediaSide, 'listen'>, language?: Language): ListenedTo {
    const id = ++this.#lastId;
    const spoke = new AbortController();
    this.#listening.set(id, spoke);
    const { port1, port2 } = new MessageChannel();
    this.#worker.postMessage({ do: 'listen', id, audio: port1, language } satisfies VoiceOrder, [port1]);
    const heard = side.listen(port2);
    return {
      spoke: spoke.signal,
      plays: ({ encoded }) => {
        const prompt = new Uint8Array(encoded.PCMA.bytes);
        this.#worker.postMessage({ do: 'plays', id, prompt } satisfies VoiceOrder);
      },
      heardOut: () =>
        new Promise((resolve) => {
          if (this.#lost || !this.#listening.has(id)) return resolve();
          this.#hearing.set(id, resolve);
          this.#worker.postMessage({ do: 'end', id } satisfies VoiceOrder);
        }),
      told: (at) => this.#worker.postMessage({ do: 'told', id, at } satisfies VoiceOrder),
      [Symbol.dispose]: () => {
        heard[Symbol.dispose]();
        this.#listening.delete(id);
        this.#hearing.get(id)?.();
        this.#hearing.delete(id);
        this.#worker.postMessage({ do: 'leave', id } satisfies VoiceOrder);
      },
    };
  }

  #heard(id: number, voice: HeardVoice): void {
    this.#listening.get(id)?.abort(voice);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lost = true;
    for (const heardOut of this.#hearing.values()) heardOut();
    await this.#worker.terminate();
  }
}
