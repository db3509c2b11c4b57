/** What the main thread and the thread that listens to voices say to each other. */
import type { MessagePort } from 'node:worker_threads';
import type { Language } from '../../config/schema/values.ts';
import type { RefusalWords } from '../../config/refusal-words.ts';
import type { EpochMicros } from '../../config/units.ts';
import type { HeardWord } from './recogniser.ts';
import type { StreamFault } from './vosk.ts';

/** Speech servers, and the words that they are asked about. */
export interface RecogniserPlace {
  servers: readonly { url: string; languages: readonly Language[] }[];
  words: Readonly<Record<Language, RefusalWords>>;
}

export type VoiceOrder =
  /** `audio` brings `SaidAudio`; with a language a recogniser listens too. */
  | { do: 'listen'; id: number; audio: MessagePort; language: Language | undefined }
  /** A prompt begins, A-law at 8 kHz. */
  | { do: 'plays'; id: number; prompt: Uint8Array }
  /** The announcement is over. */
  | { do: 'told'; id: number; at: EpochMicros }
  /** The party has hung up: what it said last is to be understood. */
  | { do: 'end'; id: number }
  | { do: 'leave'; id: number };

export type VoiceReport =
  | { tell: 'ready' }
  | { tell: 'speech'; id: number; score: number; at: EpochMicros }
  | { tell: 'word'; id: number; heard: HeardWord }
  /** What became of a provisional refusal when its utterance was over. */
  | { tell: 'final'; verdict: 'confirmed' | 'withdrawn' }
  /** All that was said has been understood, or will not be. */
  | { tell: 'heard-out'; id: number }
  | { tell: 'fault'; server: string; fault: StreamFault; detail: string }
  | { tell: 'unusable'; reason: string };
