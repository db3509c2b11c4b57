/** One side of a session as the call sees it: SDP in and out, prompts, keys. The packets are the worker's. */
import { randomInt } from 'node:crypto';
import type { Side } from '../../config/units.ts';
import type { Direction, MediaSide, Played, PressedDigit } from '../plane.ts';
import { SdpRefused } from '../plane.ts';
import type { Prompt } from '../prompts/prompt.ts';
import { renderTone, type Tone } from '../prompts/tones.ts';
import {
  chooseG711,
  mirror,
  readAudio,
  writeAnswer,
  writeOffer,
  type AudioDescription,
  type G711Codec,
} from '../sdp/audio.ts';
import type { Audio, G711, SideNumber, SideTerms } from './messages.ts';
import { frameMs } from './messages.ts';
import type { WorkerLink } from './worker-link.ts';

const staticTypes: Record<G711, number> = { PCMA: 8, PCMU: 0 };
const defaultEventType = 101;

/** What was agreed with a far end: everything that `restore` must bring back. */
interface Agreement {
  remote: AudioDescription | undefined;
  terms: SideTerms | undefined;
}

export interface RelaySideOptions {
  side: Side;
  number: SideNumber;
  session: number;
  link: WorkerLink;
  address: string;
  port: number;
}

export class RelaySide implements MediaSide {
  readonly side: Side;
  readonly #options: RelaySideOptions;
  readonly #sessionId = randomInt(1, 2 ** 31);
  #version = 0;
  #described = '';
  #agreement: Agreement = { remote: undefined, terms: undefined };
  #listeners = new Set<(digit: PressedDigit) => void>();
  #unheard: PressedDigit[] = [];
  /** The other side, whose codec and key numbering we offer first. */
  other: RelaySide | undefined;

  constructor(options: RelaySideOptions) {
    this.side = options.side;
    this.#options = options;
  }

  get remoteDirection(): Direction {
    return this.#agreement.remote?.direction ?? 'sendrecv';
  }

  get codecs(): Record<string, string> {
    const { terms } = this.#agreement;
    if (terms === undefined) return {};
    const events = [terms.eventType, terms.receivedEventType].filter((type) => type !== undefined);
    return {
      [terms.audioType]: `${terms.codec}/8000`,
      ...Object.fromEntries(events.map((type) => [type, 'telephone-event/8000'])),
    };
  }

  get terms(): SideTerms | undefined {
    return this.#agreement.terms;
  }

  async answer(offer: string, direction?: Direction): Promise<string> {
    const remote = readAudio(offer);
    const audio = await this.#agree(remote, undefined);
    const events = eventTypeOf(remote);
    return this.#numbered(({ version }) =>
      writeAnswer(offer, {
        address: this.#options.address,
        port: this.#options.port,
        codec: audio,
        telephoneEvent: events,
        direction: direction ?? mirror(remote.direction),
        sessionId: this.#sessionId,
        version,
      }),
    );
  }

  offer(direction: Direction = 'sendrecv'): Promise<string> {
    const first = this.#agreement.terms?.codec ?? this.other?.terms?.codec ?? 'PCMA';
    const codecs = [first, first === 'PCMA' ? 'PCMU' : 'PCMA'] as const;
    return Promise.resolve(
      this.#numbered(({ version }) =>
        writeOffer({
          address: this.#options.address,
          port: this.#options.port,
          codecs: codecs.map((name) => ({ payloadType: this.#typeOf(name), name })),
          telephoneEvent: this.#offeredEventType(),
          direction,
          sessionId: this.#sessionId,
          version,
        }),
      ),
    );
  }

  async accept(answer: string): Promise<void> {
    await this.#agree(readAudio(answer), this.#offeredEventType());
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
    this.#listeners.add(listener);
    for (const digit of this.#unheard.splice(0)) listener(digit);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** A key that the worker heard. */
  heard(digit: PressedDigit): void {
    if (this.#listeners.size === 0) this.#unheard.push(digit);
    for (const listener of this.#listeners) listener(digit);
  }

  /** What was agreed so far, to come back to. */
  snapshot(): () => Promise<void> {
    const agreement = this.#agreement;
    return async () => {
      this.#agreement = agreement;
      await this.#tell();
    };
  }

  async #agree(remote: AudioDescription, offeredEventType: number | undefined): Promise<G711Codec> {
    const established = remote.codecs.filter(({ name }) => name === this.#agreement.terms?.codec);
    const chosen = chooseG711(established) ?? chooseG711(remote.codecs);
    if (chosen === undefined) {
      throw new SdpRefused(
        'no-codec',
        `only ${remote.codecs.map(({ name }) => name).join(', ') || 'nothing'} is offered`,
      );
    }
    const events = eventTypeOf(remote);
    this.#agreement = {
      remote,
      terms: {
        address: remote.address,
        port: remote.port,
        rtcpPort: remote.rtcpPort ?? remote.port + 1,
        codec: chosen.name,
        audioType: chosen.payloadType,
        eventType: events,
        receivedEventType: offeredEventType === events ? undefined : offeredEventType,
        listening: remote.direction === 'sendrecv' || remote.direction === 'recvonly',
      },
    };
    await this.#tell();
    return chosen;
  }

  async #tell(): Promise<void> {
    const { session, number, link } = this.#options;
    await link.command({ do: 'agree', session, side: number, terms: this.#agreement.terms });
  }

  async #play(
    audio: Audio,
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

  #typeOf(codec: G711): number {
    const { terms } = this.#agreement;
    return terms?.codec === codec ? terms.audioType : staticTypes[codec];
  }

  #offeredEventType(): number {
    return this.#agreement.terms?.eventType ?? this.other?.terms?.eventType ?? defaultEventType;
  }

  /** Our description, its version raised only when it says something new (RFC 3264 section 8). */
  #numbered(write: (numbered: { version: number }) => string): string {
    const content = write({ version: 0 });
    if (content !== this.#described) this.#version += 1;
    this.#described = content;
    return write({ version: this.#version });
  }
}

function eventTypeOf({ codecs }: AudioDescription): number | undefined {
  return codecs.find(({ name, clockRate }) => name === 'TELEPHONE-EVENT' && clockRate === 8_000)?.payloadType;
}
