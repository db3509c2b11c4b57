/**
 * How a side was heard, estimated from what arrived: the E-model of ITU-T G.107 with everything at its default but loss,
 * delay and codec. An estimate of the network's share, on the scale of the narrow band; no judgement of what was said.
 */
import type { CodecName } from '../codec/formats.ts';

export interface Received {
  codec: CodecName;
  packetsReceived: number;
  packetsLost: number;
  /** Interarrival jitter (RFC 3550 section 6.4.1). */
  jitterMs: number;
}

export interface Quality {
  /** Packets that never came, of all that were sent: 0 to 1. */
  lossRatio: number;
  jitterMs: number;
  /** Transmission rating, 0 to 93.2. */
  rFactor: number;
  /** Mean opinion score, conversational quality estimated: 1 to 4.5. */
  mos: number;
}

/** Equipment impairment and robustness against loss (G.113 appendix I). G.722 and Opus have none there: taken as G.711. */
const impairments: Record<CodecName, { ie: number; bpl: number }> = {
  PCMA: { ie: 0, bpl: 25.1 },
  PCMU: { ie: 0, bpl: 25.1 },
  G722: { ie: 0, bpl: 25.1 },
  OPUS: { ie: 0, bpl: 25.1 },
  G729: { ie: 11, bpl: 19 },
};

/** Rating with all defaults (G.107 section 7.7), and what loss could take of it at most. */
const bestRating = 93.2;
const worstLossImpairment = 95;
/** A frame, and a jitter buffer that holds twice the jitter: what is known of the delay. */
const frameMs = 20;

/** @returns undefined when nothing arrived */
export function estimateQuality(received: Received): Quality | undefined {
  const { codec, packetsReceived, packetsLost, jitterMs } = received;
  if (packetsReceived === 0) return undefined;
  const lossRatio = packetsLost / (packetsReceived + packetsLost);
  const { ie, bpl } = impairments[codec];
  const percent = lossRatio * 100;
  const equipment = ie + (worstLossImpairment - ie) * (percent / (percent + bpl));
  const rFactor = Math.max(0, bestRating - delayImpairment(frameMs + 2 * jitterMs) - equipment);
  return { lossRatio, jitterMs, rFactor, mos: mosOf(rFactor) };
}

/** One-way delay on the scale of R, the simplification of G.107 that is good up to 400 ms. */
function delayImpairment(delayMs: number): number {
  return 0.024 * delayMs + (delayMs > 177.3 ? 0.11 * (delayMs - 177.3) : 0);
}

/** G.107 annex B. */
export function mosOf(rFactor: number): number {
  if (rFactor <= 0) return 1;
  if (rFactor >= 100) return 4.5;
  return Math.max(1, 1 + 0.035 * rFactor + rFactor * (rFactor - 60) * (100 - rFactor) * 7e-6);
}
