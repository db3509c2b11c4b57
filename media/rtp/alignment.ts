/**
 * Two RTP streams on one time line (pure). Packets are placed by their timestamps, so that jitter moves no sample; where
 * the timestamps begin on the time line is told by the arrivals. No packet comes early: the least delay of a window is
 * the line itself, and all above it jitter. A source or timestamps that jump begin a line of their own.
 */
import type { EpochMicros, Side } from '../../config/units.ts';
import type { BatchedPacket } from '../fork/batch.ts';
import type { Gap } from '../fork/sink.ts';
import type { GapKind } from '../plane.ts';
import { decodeRun, isDecoded, rateOf, type DecodedCodec, type SampleRate } from '../codec/decode.ts';
import { codecOfRtpmap, formats, type CodecName } from '../codec/formats.ts';
import { newRtpHeader, readRtp } from './packet.ts';

/** Timestamps further off from arrival than this are a jump, not jitter. */
const jumpMs = 500;
/** A far end's clock is followed window by window, in steps that are worth a step: 100 ppm make one every 50 seconds. */
const windowMs = 10_000;
const stepMs = 5;
/** Holes shorter than this are a codec's frame boundary, not worth a line. */
const listedMs = 5;

export interface AlignedGap {
  side: Side;
  fromMs: number;
  toMs: number;
  kind: GapKind;
}

export interface Alignment {
  /** Both of the same length. */
  samples: Record<Side, Int16Array>;
  /** Samples a second: 16 kHz when either side ever spoke a codec of wide band, else 8 kHz. */
  rate: SampleRate;
  /** The instant of the first sample. */
  startedAt: EpochMicros;
  durationMs: number;
  gaps: AlignedGap[];
  /** Per side: milliseconds of audio that the network brought. */
  storedMs: Record<Side, number>;
  firstPacketAt: EpochMicros | undefined;
  /** Payload types that were audio of a codec that is not decoded here. */
  undecoded: string[];
}

export interface AlignmentInput {
  packets: readonly BatchedPacket[];
  gaps: readonly Gap[];
  codecs: Record<Side, Record<string, string>>;
  startedAt: EpochMicros;
  endedAt: EpochMicros;
}

const sides: readonly Side[] = ['caller', 'agent'];

/** Lays both sides out from the recording's start to its end; what is not audio is silence, and listed. */
export function align({ packets, gaps, codecs, startedAt, endedAt }: AlignmentInput): Alignment {
  const undecoded = new Set<string>();
  const segments = { caller: segmentsOf('caller'), agent: segmentsOf('agent') };
  const wide = [...segments.caller, ...segments.agent].some(({ codec }) => rateOf(codec) === 16_000);
  const rate: SampleRate = wide ? 16_000 : 8_000;
  const samplesPerMs = rate / 1_000;
  const placed = { caller: place(segments.caller), agent: place(segments.agent) };
  const lastEnd = Math.max(placed.caller.end, placed.agent.end, (endedAt - startedAt) / 1_000);
  const length = Math.max(0, Math.round(lastEnd * samplesPerMs));
  const samples = { caller: new Int16Array(length), agent: new Int16Array(length) };
  const storedMs = { caller: 0, agent: 0 };
  const listed: AlignedGap[] = [];
  for (const side of sides) {
    const covered = new Uint8Array(length);
    for (const { at, audio } of placed[side].pieces) {
      const from = Math.round(at * samplesPerMs);
      const [start, end] = [Math.max(0, from), Math.min(length, from + audio.length)];
      if (start >= end) continue;
      samples[side].set(audio.subarray(start - from, end - from), start);
      covered.fill(1, start, end);
    }
    storedMs[side] = countOnes(covered) / samplesPerMs;
    listed.push(...listGaps(side, covered, gaps, { startedAt, samplesPerMs }));
  }
  return {
    samples,
    rate,
    startedAt,
    durationMs: length / samplesPerMs,
    gaps: listed,
    storedMs,
    firstPacketAt: packets.reduce<EpochMicros | undefined>(
      (first, { arrivedAt }) => (first === undefined || arrivedAt < first ? arrivedAt : first),
      undefined,
    ),
    undecoded: [...undecoded],
  };

  function segmentsOf(side: Side): Segment[] {
    const header = newRtpHeader();
    const segments: Segment[] = [];
    const seen = new RecentPackets();
    for (const { side: from, arrivedAt, rtp } of packets) {
      if (from !== side || !readRtp(rtp, rtp.length, header) || header.payloadLength === 0) continue;
      const rtpmap = codecs[side][header.payloadType] ?? staticRtpmap(header.payloadType);
      if (rtpmap.startsWith('telephone-event') || header.payloadType === 13) continue;
      const codec = codecOfRtpmap(rtpmap);
      if (codec === undefined || !isDecoded(codec)) {
        undecoded.add(rtpmap);
        continue;
      }
      if (seen.has(header.ssrc, header.sequence, header.timestamp)) continue;
      const arrivedMs = (arrivedAt - startedAt) / 1_000;
      const ticksPerMs = formats[codec].clockRate / 1_000;
      let segment = segments.at(-1);
      let sentMs = segment === undefined ? 0 : ((header.timestamp - segment.timestamp) | 0) / ticksPerMs;
      if (
        segment?.ssrc !== header.ssrc ||
        segment.codec !== codec ||
        Math.abs(arrivedMs - sentMs - segment.delayMs) > jumpMs
      ) {
        segment = {
          ssrc: header.ssrc,
          codec,
          timestamp: header.timestamp,
          delayMs: arrivedMs,
          packets: [],
        };
        segments.push(segment);
        sentMs = 0;
      }
      segment.delayMs = arrivedMs - sentMs;
      const payload = rtp.subarray(header.payloadOffset, header.payloadOffset + header.payloadLength);
      segment.packets.push({ sentMs, delayMs: segment.delayMs, payload });
    }
    return segments;
  }

  function place(segments: readonly Segment[]): { pieces: Piece[]; end: number } {
    const pieces = segments.flatMap((segment) => placeSegment(segment, rate));
    const end = pieces.reduce((last, { at, audio }) => Math.max(last, at + audio.length / samplesPerMs), 0);
    return { pieces, end };
  }
}

/** A payload type that was not agreed when the recording began: a codec that came later may still say what it is. */
function staticRtpmap(payloadType: number): string {
  const name = (Object.keys(formats) as CodecName[]).find((each) => formats[each].staticType === payloadType);
  return name === undefined ? `payload type ${payloadType}` : formats[name].rtpmap;
}

/** The last packets of a side, by which one that comes twice is known: five seconds of them. */
class RecentPackets {
  readonly #size = 256;
  readonly #ssrcs = new Float64Array(this.#size).fill(-1);
  /** Timestamp and sequence together: 48 bits. */
  readonly #places = new Float64Array(this.#size);

  /** Whether it came before; it has now. */
  has(ssrc: number, sequence: number, timestamp: number): boolean {
    const at = sequence % this.#size;
    const place = timestamp * 0x1_0000 + sequence;
    if (this.#ssrcs[at] === ssrc && this.#places[at] === place) return true;
    this.#ssrcs[at] = ssrc;
    this.#places[at] = place;
    return false;
  }
}

function countOnes(flags: Uint8Array): number {
  let count = 0;
  // By index: the iterator of a typed array costs ten times as much over the samples of a call.
  for (let index = 0; index < flags.length; index++) count += flags[index]!;
  return count;
}

interface Piece {
  /** Milliseconds on the time line. */
  at: number;
  audio: Int16Array;
}

/** Packets of one source and codec whose timestamps belong together. */
interface Segment {
  ssrc: number;
  codec: DecodedCodec;
  timestamp: number;
  /** Arrival less sending time of the last packet. */
  delayMs: number;
  packets: { sentMs: number; delayMs: number; payload: Uint8Array }[];
}

function placeSegment({ packets, codec }: Segment, rate: SampleRate): Piece[] {
  const least = new Map<number, number>();
  const windowOf = (sentMs: number): number => Math.floor(sentMs / windowMs);
  for (const { sentMs, delayMs } of packets) {
    const window = windowOf(sentMs);
    least.set(window, Math.min(least.get(window) ?? Number.POSITIVE_INFINITY, delayMs));
  }
  const lines = new Map<number, number>();
  let line: number | undefined;
  for (const [window, delayMs] of [...least].sort(([a], [b]) => a - b)) {
    if (line === undefined || Math.abs(delayMs - line) > stepMs) line = delayMs;
    lines.set(window, line);
  }
  // A decoder that remembers must hear packets as they were sent, not as they came.
  const inOrder = packets.toSorted((a, b) => a.sentMs - b.sentMs);
  const payloads = inOrder.map(({ payload }) => payload);
  return decodeRun(codec, payloads, rate).map((audio, index) => {
    const { sentMs } = inOrder[index]!;
    return { at: sentMs + lines.get(windowOf(sentMs))!, audio };
  });
}

/** Runs of samples that nothing covers, each called by what was declared of that time, else lost. */
function listGaps(
  side: Side,
  covered: Uint8Array,
  declared: readonly Gap[],
  { startedAt, samplesPerMs }: { startedAt: EpochMicros; samplesPerMs: number },
): AlignedGap[] {
  const gaps: AlignedGap[] = [];
  let from = covered.indexOf(0);
  while (from !== -1) {
    const next = covered.indexOf(1, from);
    const to = next === -1 ? covered.length : next;
    const [fromMs, toMs] = [from / samplesPerMs, to / samplesPerMs];
    if (toMs - fromMs >= listedMs) {
      const middle = startedAt + ((fromMs + toMs) / 2) * 1_000;
      const kind = declared.find((gap) => gap.side === side && gap.from <= middle && gap.to >= middle)?.kind;
      // Between packets something was lost; before the first and after the last nobody sent.
      const between = from > 0 && next !== -1;
      gaps.push({ side, fromMs, toMs, kind: kind ?? (between ? 'lost' : 'no-rtp') });
    }
    from = next === -1 ? -1 : covered.indexOf(0, next);
  }
  return gaps;
}
