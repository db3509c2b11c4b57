/** One side of a session as the call sees it: SDP in and out, prompts, keys. The packets are the worker's. */
import type { MessagePort } from 'node:worker_threads';
import type { Side } from '../../config/units.ts';
import type { CodecName } from '../codec/formats.ts';
import { HeardKeys } from '../dtmf/heard-keys.ts';
import type { Direction, MediaSide, Played, PressedDigit, RecordingIndication } from '../plane.ts';
import type { Encoded } from '../prompts/encoded.ts';
import type { Prompt } from '../prompts/prompt.ts';
import { renderTone, type Tone } from '../prompts/tones.ts';
import type { SrtpPolicy } from '../srtp/agreement.ts';
import type { Command, SideNumber } from './messages.ts';
import { frameMs } from './messages.ts';
import { Negotiation } from './negotiation.ts';
import type { WorkerLink } from './worker-link.ts';

export interface RelaySideOptions {
  side: Side;
  number: SideNumber;
  session: number;
  link: WorkerLink;
  address: string;
  port: number;
}

export class RelaySide implements MediaSide, Disposable {
  readonly side: Side;
  readonly #options: RelaySideOptions;
  readonly #negotiation: Negotiation;
  readonly #keys = new HeardKeys();

  constructor(options: RelaySideOptions) {
    this.side = options.side;
    this.#options = options;
    this.#negotiation = new Negotiation(options);
  }

  /** The other side, whose codecs and key numbering we offer first. */
  set other(other: RelaySide) {
    this.#negotiation.other = other.#negotiation;
  }

  get indication(): RecordingIndication | undefined {
    return this.#negotiation.indication;
  }

  set indication(indication: RecordingIndication | undefined) {
    this.#negotiation.indication = indication;
  }

  get remoteDirection(): Direction {
    return this.#negotiation.agreement.remote?.direction ?? 'sendrecv';
  }

  get codecs(): Record<string, string> {
    return this.#negotiation.agreement.received;
  }

  get codec(): CodecName | undefined {
    return this.#negotiation.codec;
  }

  get stuck(): boolean {
    return this.#negotiation.stuck;
  }

  async answer(offer: string, direction?: Direction, srtp?: SrtpPolicy): Promise<string> {
    const answer = this.#negotiation.answer(offer, direction, srtp);
    await this.#tell();
    return answer;
  }

  offer(direction: Direction = 'sendrecv', srtp?: SrtpPolicy, to?: 'same' | 'anyone'): Promise<string> {
    return Promise.resolve(this.#negotiation.offer(direction, srtp, to));
  }

  async accept(answer: string): Promise<void> {
    this.#negotiation.accept(answer);
    await this.#tell();
  }

  async play(prompt: Prompt, signal: AbortSignal): Promise<Played> {
    const { frames, complete } = await this.#play(prompt.encoded, false, signal);
    return {
      heardMs: Math.min(frames * frameMs, prompt.durationMs),
      durationMs: prompt.durationMs,
      complete,
    };
  }

  async playTone(tone: Tone, signal: AbortSignal): Promise<void> {
    await this.#play(renderTone(tone), true, signal);
  }

  onDigit(listener: (digit: PressedDigit) => void): Disposable {
    return this.#keys.listen(listener);
  }

  listen(port: MessagePort): Disposable {
    const { session, number, link } = this.#options;
    const tell = (command: Command): void => void link.command(command).catch(() => port.close());
    tell({ do: 'listen', session, side: number, port });
    return { [Symbol.dispose]: () => tell({ do: 'unlisten', session, side: number }) };
  }

  /** A key that the worker heard. */
  heard(digit: PressedDigit): void {
    this.#keys.heard(digit);
  }

  /** What was agreed so far, to come back to. */
  snapshot(): () => Promise<void> {
    const { agreement } = this.#negotiation;
    return async () => {
      this.#negotiation.agreement = agreement;
      await this.#tell();
    };
  }

  /** Zeroes the keys. */
  [Symbol.dispose](): void {
    this.#negotiation[Symbol.dispose]();
  }

  async #tell(): Promise<void> {
    const { session, number, link } = this.#options;
    await link.command({ do: 'agree', session, side: number, terms: this.#negotiation.agreement.terms });
  }

  async #play(
    audio: Encoded,
    repeat: boolean,
    signal: AbortSignal,
  ): Promise<{ frames: number; complete: boolean }> {
    const { session, number, link } = this.#options;
    if (signal.aborted) return { frames: 0, complete: false };
    const { playback, ended } = link.playback();
    const hush = (): void =>
      void link.command({ do: 'hush', session, side: number, playback }).catch(() => undefined);
    signal.addEventListener('abort', hush, { once: true });
    try {
      await link.command({ do: 'play', session, side: number, playback, audio, repeat });
      return await ended;
    } catch {
      return { frames: 0, complete: false };
    } finally {
      signal.removeEventListener('abort', hush);
    }
  }
}
