import type { Encoded } from './encoded.ts';

/** An announcement, converted once into each codec that it may be sent in. */
export interface Prompt {
  name: string;
  /** Hex SHA-256 of the source audio (linear PCM): what the ledger says was played. */
  hash: string;
  durationMs: number;
  encoded: Encoded;
}
