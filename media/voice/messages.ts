/** What the main thread and the thread that listens to voices say to each other. */
import type { MessagePort } from 'node:worker_threads';
import type { EpochMicros } from '../../config/units.ts';

export type VoiceOrder =
  /** `audio` brings `SaidAudio`. */
  | { do: 'listen'; id: number; audio: MessagePort }
  /** A prompt begins, A-law at 8 kHz. */
  | { do: 'plays'; id: number; prompt: Uint8Array }
  | { do: 'leave'; id: number };

export type VoiceReport =
  | { tell: 'ready' }
  | { tell: 'speech'; id: number; score: number; at: EpochMicros }
  | { tell: 'unusable'; reason: string };
