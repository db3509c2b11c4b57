/**
 * An announcement, converted once into each codec that it may be sent in. The buffers are shared memory, so that
 * handing a prompt to a media worker copies nothing.
 */
export interface Prompt {
  name: string;
  /** Hex SHA-256 of the source audio (linear PCM): what the ledger says was played. */
  hash: string;
  durationMs: number;
  /** 8 kHz, a byte a sample (G.711), whole 20 ms frames. */
  encoded: { PCMA: SharedArrayBuffer; PCMU: SharedArrayBuffer };
}
