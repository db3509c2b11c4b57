/**
 * One stream to a speech server that speaks the protocol of Vosk's WebSocket server: a frame of configuration, then frames of
 * audio, each of which is answered by exactly one frame, in order. Counting the answers tells how far the server is behind, and
 * one answer too many that it speaks something else (the C++ server answers the configuration).
 */
import { WebSocket, type RawData } from 'ws';
import { messageOf } from '../../config/errors.ts';
import type { EpochMicros } from '../../config/units.ts';

/** What the server takes a stretch of audio for. */
export interface Recognised {
  text: string;
  /** `final`: the utterance is over; until then the text may still change. */
  final: boolean;
  /** Of a final, the least sure word's posterior, 0 to 1; undefined where the server gives none. */
  confidence: number | undefined;
  /** When the last of the audio was heard that the server has answered for. */
  at: EpochMicros;
}

/** Why a stream is of no use any more. */
export type StreamFault = 'unreachable' | 'closed' | 'behind' | 'malformed';

export interface VoskStreamOptions {
  url: string;
  /** Words and phrases that are told apart, with `[unk]` for everything else. */
  grammar: readonly string[];
  onRecognised: (recognised: Recognised) => void;
  /** Once; the stream is closed then. */
  onFault: (fault: StreamFault, detail: string) => void;
}

export const sampleRate = 8_000;
/** 100 ms: what the decoder takes at a time without waiting longer than it must. */
export const frameSamples = 800;
const connectMs = 1_000;
/** Frames without an answer, 3 s of audio, beyond which the server does not keep up. */
const mostUnanswered = 30;
/** An answer is a few words; a server that sends more is no speech server. */
const largestAnswer = 65_536;
/** Compared as a string by the server, blanks and all. */
const endOfAudio = '{"eof" : 1}';

export class VoskStream implements Disposable {
  readonly #options: VoskStreamOptions;
  readonly #socket: WebSocket;
  readonly #unanswered: EpochMicros[] = [];
  /** That nothing more comes was said: resolved when nothing is left to be answered. */
  #ending: PromiseWithResolvers<undefined> | undefined;
  #over = false;

  /** Connects at once; what is sent before the connection stands is lost. @throws when the URL is none */
  constructor(options: VoskStreamOptions) {
    this.#options = options;
    const socket = new WebSocket(options.url, {
      handshakeTimeout: connectMs,
      maxPayload: largestAnswer,
      perMessageDeflate: false,
    });
    this.#socket = socket;
    socket.on('open', () => {
      const config = { sample_rate: sampleRate, words: true, phrase_list: options.grammar };
      socket.send(JSON.stringify({ config }));
    });
    socket.on('message', (data, isBinary) => this.#answered(data, isBinary));
    socket.on('error', (error) => this.#fail('unreachable', messageOf(error)));
    socket.on('close', (code) => this.#fail('closed', `the server closed (${code})`));
  }

  /** Whether audio that is sent now reaches the server. */
  get open(): boolean {
    return !this.#over && this.#socket.readyState === WebSocket.OPEN;
  }

  /** Frames that were sent and not answered. */
  get unanswered(): number {
    return this.#unanswered.length;
  }

  /** @param frame signed 16-bit samples at 8 kHz. @param at when its last sample was heard */
  send(frame: Int16Array, at: EpochMicros): void {
    if (!this.open) return;
    if (this.#unanswered.length >= mostUnanswered) {
      this.#fail('behind', `${mostUnanswered} frames without an answer`);
      return;
    }
    this.#unanswered.push(at);
    this.#socket.send(littleEndian(frame));
  }

  /**
   * Says that nothing more comes, and waits until the server has answered for everything, a second at most. The stream is over then.
   *
   * @param rest of the audio, less than a frame. @param at when its last sample was heard
   */
  async end(rest: Int16Array, at: EpochMicros): Promise<void> {
    if (rest.length > 0) this.send(rest, at);
    if (this.open) {
      this.#ending = Promise.withResolvers();
      const late = setTimeout(() => this.#ending?.resolve(undefined), connectMs);
      this.#unanswered.push(at);
      this.#socket.send(endOfAudio);
      await this.#ending.promise;
      clearTimeout(late);
    }
    this[Symbol.dispose]();
  }

  /** Says that nothing more comes. The server closes by itself; one that does not is left. */
  [Symbol.dispose](): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#ending === undefined && this.#socket.readyState === WebSocket.OPEN)
      this.#socket.send(endOfAudio);
    this.#socket.close(1_000);
    setTimeout(() => this.#socket.terminate(), connectMs).unref();
  }

  #answered(data: RawData, isBinary: boolean): void {
    if (this.#over) return;
    const at = this.#unanswered.shift();
    if (at === undefined) {
      this.#fail('malformed', 'an answer to nothing: this is no Vosk server of the documented kind');
      return;
    }
    const answer = isBinary ? undefined : readAnswer((data as Buffer).toString('utf8'));
    if (answer === undefined) this.#fail('malformed', 'an answer that cannot be read');
    else this.#options.onRecognised({ ...answer, at });
    if (this.#unanswered.length === 0) this.#ending?.resolve(undefined);
  }

  #fail(fault: StreamFault, detail: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.terminate();
    this.#ending?.resolve(undefined);
    this.#options.onFault(fault, detail);
  }
}

/** One frame of the server: a partial, or a final in one of its shapes; undefined for anything else. */
export function readAnswer(text: string): Omit<Recognised, 'at'> | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof answer !== 'object' || answer === null) return undefined;
  const { partial, text: final, result, alternatives } = answer as Record<string, unknown>;
  if (typeof partial === 'string') return { text: partial, final: false, confidence: undefined };
  if (typeof final === 'string') return { text: final, final: true, confidence: leastConfidence(result) };
  // A server that is set to give alternatives scores them by no posterior.
  const [best] = Array.isArray(alternatives) ? (alternatives as ({ text?: unknown } | null)[]) : [];
  return typeof best?.text === 'string' ? { text: best.text, final: true, confidence: undefined } : undefined;
}

function leastConfidence(result: unknown): number | undefined {
  if (!Array.isArray(result)) return undefined;
  const confidences = result
    .map((word: unknown) => (word as { conf?: unknown } | null)?.conf)
    .filter((conf): conf is number => typeof conf === 'number' && conf >= 0 && conf <= 1);
  return confidences.length === 0 ? undefined : Math.min(...confidences);
}

function littleEndian(samples: Int16Array): Buffer {
  const bytes = Buffer.allocUnsafe(2 * samples.length);
  for (const [index, sample] of samples.entries()) bytes.writeInt16LE(sample, 2 * index);
  return bytes;
}
