/**
 * The one RTP stream that a far end hears from us, whatever its source is at the moment: prompt, ringing, the other
 * party, another phone of the other party. One SSRC, sequence numbers that only the source's own losses leave holes
 * in, timestamps that follow real time over a change of source (RFC 3550 section 5.1). Its numbers stand in memory of the
 * caller's, as a receiver's do (`receiver.ts`).
 */
import { randomInt } from 'node:crypto';

/** A source's numbers that jump further than this are those of a new source, whatever its SSRC says (appendix A.1). */
const largestDropout = 3_000;
const largestJumpMs = 1_000;

/** Where each number of a stream stands, from the stream's first on. */
export const streamWords = {
  ssrc: 0,
  /** Of the packet whose place was asked for last. */
  sequence: 1,
  timestamp: 2,
  /** What is added to the current source's numbers. */
  sequenceOffset: 3,
  timestampOffset: 4,
  /** Highest that went out, and when. */
  lastSequence: 5,
  lastTimestamp: 6,
  lastAt: 7,
  /** 1 when the current source's numbers have been joined to what went before. */
  joined: 8,
  ticksPerMs: 9,
  size: 10,
} as const;

const at = streamWords;

/** A new stream, its numbers random (RFC 3550 section 5.1). */
export function startStream(words: Float64Array, first: number, ticksPerMs = 8): void {
  words[first + at.ssrc] = randomInt(1, 2 ** 32);
  words[first + at.lastSequence] = randomInt(0, 2 ** 16);
  words[first + at.lastTimestamp] = randomInt(0, 2 ** 32);
  words[first + at.sequenceOffset] = 0;
  words[first + at.timestampOffset] = 0;
  words[first + at.lastAt] = Number.NaN;
  words[first + at.joined] = 0;
  words[first + at.ticksPerMs] = ticksPerMs;
}

/** The next packet is of another source: its numbers will be joined to what went before. */
export function changeSource(words: Float64Array, first: number): void {
  words[first + at.joined] = 0;
}

/** A packet of the source: its place in our stream is left in `sequence` and `timestamp`. */
export function placePacket(
  words: Float64Array,
  first: number,
  sourceSequence: number,
  sourceTimestamp: number,
  nowMs: number,
): void {
  const last = words[first + at.lastSequence]!;
  const lastTimestamp = words[first + at.lastTimestamp]!;
  let sequence = (sourceSequence + words[first + at.sequenceOffset]!) & 0xffff;
  let timestamp = (sourceTimestamp + words[first + at.timestampOffset]!) >>> 0;
  const ahead = (sequence - last) & 0xffff;
  const strange = ahead >= largestDropout && ahead <= 0xffff - largestDropout;
  const ticksAhead = (timestamp - lastTimestamp) | 0;
  if (
    words[first + at.joined] === 0 ||
    strange ||
    Math.abs(ticksAhead - elapsedTicks(words, first, nowMs)) > largestJumpMs * words[first + at.ticksPerMs]!
  ) {
    if (strange || words[first + at.joined] === 0) {
      words[first + at.sequenceOffset] = (last + 1 - sourceSequence) & 0xffff;
      sequence = (last + 1) & 0xffff;
    }
    timestamp = (lastTimestamp + elapsedTicks(words, first, nowMs)) >>> 0;
    words[first + at.timestampOffset] = (timestamp - sourceTimestamp) >>> 0;
    words[first + at.joined] = 1;
  }
  words[first + at.sequence] = sequence;
  words[first + at.timestamp] = timestamp;
  // A packet that comes late keeps its own place and does not move the end of the stream.
  if (((sequence - last) & 0xffff) < 0x8000) words[first + at.lastSequence] = sequence;
  if ((timestamp - lastTimestamp) >>> 0 < 2 ** 31) {
    words[first + at.lastTimestamp] = timestamp;
    words[first + at.lastAt] = nowMs;
  }
}

/** A packet of our own (prompt, tone) that holds `ticks` of audio: its place is left in `sequence` and `timestamp`. */
export function placeOwn(words: Float64Array, first: number, ticks: number, nowMs: number): void {
  const step = words[first + at.joined] === 1 ? ticks : elapsedTicks(words, first, nowMs);
  const sequence = (words[first + at.lastSequence]! + 1) & 0xffff;
  const timestamp = (words[first + at.lastTimestamp]! + step) >>> 0;
  words[first + at.joined] = 1;
  words[first + at.sequence] = sequence;
  words[first + at.timestamp] = timestamp;
  words[first + at.lastSequence] = sequence;
  words[first + at.lastTimestamp] = timestamp;
  words[first + at.lastAt] = nowMs;
}

/** Real time since the last packet in ticks, at least one: time goes on while nobody sends. */
function elapsedTicks(words: Float64Array, first: number, nowMs: number): number {
  const lastAt = words[first + at.lastAt]!;
  if (Number.isNaN(lastAt)) return 0;
  return Math.max(1, Math.round((nowMs - lastAt) * words[first + at.ticksPerMs]!));
}
