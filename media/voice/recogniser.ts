/**
 * A party's words by a speech server, with any speech for when the server does not answer. A refusal in a text that may still
 * change acts at once: the safe side is not to record. Whoever speaks while the server is not there, or behind, has refused as without it.
 */
import type { RefusalWords } from '../../config/refusal-words.ts';
import type { EpochMicros } from '../../config/units.ts';
import type { HeardSpeech } from './any-speech.ts';
import { grammarOf, refusalIn } from './refusal-words.ts';
import { frameSamples, VoskStream, type Recognised, type StreamFault } from './vosk.ts';

/** A refusal that was understood: by which word, how sure (of a final), and whether the text could still change. */
export interface HeardWord {
  word: string;
  score: number | undefined;
  provisional: boolean;
  at: EpochMicros;
}

export interface RecogniserOptions {
  /** `ws://` or `wss://`, in order of preference. */
  servers: readonly string[];
  words: RefusalWords;
  onRefusal: (heard: HeardWord) => void;
  /** Nobody understood what was said: it counts as any speech does. */
  onSpeech: (heard: HeardSpeech) => void;
  /** What became of a provisional refusal when its utterance was over. */
  onFinal: (verdict: 'confirmed' | 'withdrawn') => void;
  onFault: (server: string, fault: StreamFault, detail: string) => void;
}

/** Bare words count for so long after the announcement; what was said within it is understood a little later. */
const bareWordsMs = 5_000;
const understoodMs = 600;
/** An utterance that is not answered for within this is not understood. */
const answerMs = 1_500;
/**
 * Who speaks for so long without a pause while the announcement is in the air does not listen: an answering machine says its greeting. What
 * nobody listened to was told to nobody.
 */
const monologueMs = 3_000;
/** Silence within an utterance. */
const breathMs = 700;
/** Between two attempts; a server that failed is asked again when the others have failed too. */
const retryMs = [100, 500, 2_000, 5_000];

export class Recogniser implements Disposable {
  readonly #options: RecogniserOptions;
  readonly #grammar: string[];
  readonly #frame = new Int16Array(frameSamples);
  #filled = 0;
  #heardUntil = 0 as EpochMicros;
  #stream: VoskStream | undefined;
  #attempts = 0;
  #retry: NodeJS.Timeout | undefined;
  /** Bare words, and any speech, count until then. */
  #windowEnds = Infinity;
  /** Somebody speaks: the first moment of it that was not answered for. */
  #waiting: { speech: HeardSpeech; timer: NodeJS.Timeout } | undefined;
  #provisional: string | undefined;
  /** The utterance that goes on: when it began, and when it was last heard. */
  #utterance: { from: EpochMicros; last: EpochMicros } | undefined;
  #closed = false;

  constructor(options: RecogniserOptions) {
    this.#options = options;
    this.#grammar = grammarOf(options.words);
    this.#connect();
  }

  /** The announcement begins, perhaps once more. */
  opens(): void {
    this.#windowEnds = Infinity;
  }

  /** The announcement is over. */
  told(at: EpochMicros): void {
    this.#windowEnds = at + bareWordsMs * 1_000;
  }

  /** Whether somebody who speaks now is of interest: later in the call only words are, and the detector is spared. */
  minds(at: EpochMicros): boolean {
    return at <= this.#windowEnds;
  }

  /** The next of the stream: signed 16-bit samples at 8 kHz, until `at`. */
  hear(samples: Int16Array, at: EpochMicros): void {
    this.#heardUntil = at;
    for (const sample of samples) {
      this.#frame[this.#filled] = sample;
      this.#filled += 1;
      if (this.#filled < frameSamples) continue;
      this.#filled = 0;
      this.#stream?.send(this.#frame, at);
    }
  }

  /** Somebody speaks. It is a refusal if the server does not answer for it in time. */
  speaks(speech: HeardSpeech): void {
    if (!this.minds(speech.at)) return;
    if (this.#goesOn(speech.at)) {
      this.#options.onSpeech(speech);
      return;
    }
    if (this.#waiting !== undefined) return;
    const timer = setTimeout(() => {
      this.#waiting = undefined;
      this.#options.onSpeech(speech);
    }, answerMs);
    this.#waiting = { speech, timer };
  }

  /** The party has hung up: what it said to the last moment is understood when this resolves, or counts as any speech does. */
  async end(): Promise<void> {
    this.#closed = true;
    await this.#stream?.end(this.#frame.subarray(0, this.#filled), this.#heardUntil);
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    clearTimeout(waiting.timer);
    this.#waiting = undefined;
    this.#options.onSpeech(waiting.speech);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#waiting?.timer);
    this.#stream?.[Symbol.dispose]();
  }

  /** Whether the utterance that is heard at this moment has become a monologue. */
  #goesOn(at: EpochMicros): boolean {
    const before = this.#utterance;
    const same = before !== undefined && at - before.last <= breathMs * 1_000;
    this.#utterance = { from: same ? before.from : at, last: at };
    return at - this.#utterance.from >= monologueMs * 1_000;
  }

  #connect(): void {
    const { servers, onFault } = this.#options;
    const server = servers[this.#attempts % servers.length]!;
    this.#stream = new VoskStream({
      url: server,
      grammar: this.#grammar,
      onRecognised: (recognised) => this.#take(recognised),
      onFault: (fault, detail) => {
        this.#stream = undefined;
        onFault(server, fault, detail);
        this.#later();
      },
    });
  }

  #later(): void {
    if (this.#closed) return;
    const rounds = Math.floor(this.#attempts / this.#options.servers.length);
    this.#attempts += 1;
    const pause = retryMs[Math.min(rounds, retryMs.length - 1)]!;
    this.#retry = setTimeout(() => this.#connect(), pause).unref();
  }

  #take(recognised: Recognised): void {
    const { text, final, confidence, at } = recognised;
    const waiting = this.#waiting;
    // Audio from after the word began has been answered for: the server hears this utterance.
    if (waiting !== undefined && at > waiting.speech.at) {
      clearTimeout(waiting.timer);
      this.#waiting = undefined;
    }
    const bare = at <= this.#windowEnds + understoodMs * 1_000;
    const word = refusalIn(text, this.#options.words, bare);
    if (this.#provisional !== undefined) {
      if (!final) return;
      this.#options.onFinal(word === undefined ? 'withdrawn' : 'confirmed');
      this.#provisional = undefined;
      return;
    }
    if (word === undefined) return;
    if (!final) this.#provisional = word;
    this.#options.onRefusal({ word, score: confidence, provisional: !final, at });
  }
}
