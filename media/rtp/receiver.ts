/**
 * What a receiver knows of a stream (RFC 3550 appendix A.3, A.8), as numbers in memory of the caller's: a worker keeps
 * those of all its streams side by side. No allocation for a packet.
 */

/** A jump of the sequence number beyond this is a new beginning, not a loss (appendix A.1: MAX_DROPOUT). */
const largestDropout = 3_000;

/** Where each number of a stream stands, from the stream's first on. */
export const receiverWords = {
  packets: 0,
  /** Interarrival jitter, timestamp ticks. */
  jitter: 1,
  /** Timestamp ticks a millisecond: 8, or 48 for Opus. */
  ticksPerMs: 2,
  ssrc: 3,
  base: 4,
  /** Highest sequence number so far, extended by the cycles. */
  highest: 5,
  sinceBase: 6,
  lostBefore: 7,
  timestamp: 8,
  transit: 9,
  size: 10,
} as const;

const at = receiverWords;
const noSource = -1;

/** A stream of which nothing has come yet. */
export function startReceiver(words: Float64Array, first: number, ticksPerMs = 8): void {
  words.fill(0, first, first + at.size);
  words[first + at.ticksPerMs] = ticksPerMs;
  words[first + at.ssrc] = noSource;
}

/** Expected less received, over all sources so far. Never negative: duplicates do not undo losses. */
export function lostPackets(words: Float64Array, first: number): number {
  if (words[first + at.ssrc] === noSource) return 0;
  const expected = words[first + at.highest]! - words[first + at.base]! + 1;
  return words[first + at.lostBefore]! + Math.max(0, expected - words[first + at.sinceBase]!);
}

/** Counts a packet. */
export function receivePacket(
  words: Float64Array,
  first: number,
  sequence: number,
  timestamp: number,
  ssrc: number,
  nowMs: number,
): void {
  words[first + at.packets]! += 1;
  const highest = words[first + at.highest]!;
  const ahead = (sequence - highest) & 0xffff;
  const jumped = ahead >= largestDropout && ahead <= 0xffff - largestDropout;
  const transit = nowMs * words[first + at.ticksPerMs]! - timestamp;
  if (ssrc !== words[first + at.ssrc] || jumped) {
    words[first + at.lostBefore] = lostPackets(words, first);
    words[first + at.ssrc] = ssrc;
    words[first + at.base] = sequence;
    words[first + at.highest] = sequence;
    words[first + at.sinceBase] = 1;
  } else {
    if (ahead < largestDropout) words[first + at.highest] = highest + ahead;
    words[first + at.sinceBase]! += 1;
    // The packets of a key all carry the instant of its start (RFC 4733): only the first says anything of the network.
    if (timestamp === words[first + at.timestamp]) return;
    const difference = Math.abs(transit - words[first + at.transit]!);
    const jitter = words[first + at.jitter]!;
    // A timestamp that wraps or jumps is not jitter.
    if (difference < 1_000 * words[first + at.ticksPerMs]!)
      words[first + at.jitter] = jitter + (difference - jitter) / 16;
  }
  words[first + at.timestamp] = timestamp;
  words[first + at.transit] = transit;
}
