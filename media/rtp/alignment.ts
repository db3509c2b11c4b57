/**
 * Two RTP streams on one time line (pure). Packets are placed by their timestamps, so that jitter moves no sample; where
 * the timestamps begin on the time line is told by the arrivals. No packet comes early: the least delay of a window is
 * the line itself, and all above it jitter. A source or timestamps that jump begin a line of their own.
 */
import type { EpochMicros, Side } from '../../config/units.ts';
import type { Gap } from '../fork/sink.ts';
import type { GapKind } from '../plane.ts';
import { decodeRun, rateOf, type SampleRate } from '../codec/decode.ts';
import { isG711 } from '../codec/formats.ts';
import { decodeInto, type G711 } from '../codec/g711.ts';
import { readSegments, type HeardSide, type PacketRows, type Segment, type SideCodecs } from './segments.ts';

/** A far end's clock is followed window by window, in steps that are worth a step: 100 ppm make one every 50 seconds. */
const windowMs = 10_000;
const stepMs = 5;
/** The least delay of fewer packets than this is chance: half a second of them. */
const tellingPackets = 25;
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
  /** Per side: milliseconds of audio that the network brought, each packet once. */
  storedMs: Record<Side, number>;
  firstPacketAt: EpochMicros | undefined;
  /** Payload types that were audio of a codec that is not decoded here. */
  undecoded: string[];
}

export interface AlignmentInput {
  /** In the order in which the relay wrote them. */
  batches: readonly Uint8Array[];
  gaps: readonly Gap[];
  codecs: SideCodecs;
  startedAt: EpochMicros;
  /** Undefined: with its last packet. */
  endedAt: EpochMicros | undefined;
}

const sides: readonly Side[] = ['caller', 'agent'];

/**
 * Lays both sides out from the recording's start to its end; what is not audio is silence, and listed.
 *
 * @throws BatchMalformed
 */
export function align({ batches, gaps, codecs, startedAt, endedAt }: AlignmentInput): Alignment {
  const heard = readSegments(batches, codecs, startedAt);
  const wide = sides.some((side) => heard.sides[side].segments.some(({ codec }) => rateOf(codec) === 16_000));
  const rate: SampleRate = wide ? 16_000 : 8_000;
  const samplesPerMs = rate / 1_000;
  const lastsMs = ((endedAt ?? heard.lastPacketAt ?? startedAt) - startedAt) / 1_000;
  const tracks = {
    caller: lay(heard.sides.caller, batches, rate, lastsMs),
    agent: lay(heard.sides.agent, batches, rate, lastsMs),
  };
  const length = Math.max(0, Math.round(lastsMs * samplesPerMs), ...sides.map((side) => tracks[side].end));
  return {
    samples: { caller: tracks.caller.audio(length), agent: tracks.agent.audio(length) },
    rate,
    startedAt,
    durationMs: length / samplesPerMs,
    gaps: sides.flatMap((side) =>
      listGaps(side, tracks[side].coverage(length), gaps, { startedAt, samplesPerMs }),
    ),
    storedMs: {
      caller: tracks.caller.laid / samplesPerMs,
      agent: tracks.agent.laid / samplesPerMs,
    },
    firstPacketAt: heard.firstPacketAt,
    undecoded: heard.undecoded,
  };
}

/** The samples of one side, and which of them are audio. */
class Track {
  #samples: Int16Array;
  #covered: Uint8Array;
  /** After the last sample of audio. */
  end = 0;
  /** Samples of audio, those twice that stand on one another. */
  laid = 0;

  constructor(expected: number) {
    this.#samples = new Int16Array(expected);
    this.#covered = new Uint8Array(expected);
  }

  audio(length: number): Int16Array {
    this.#make(length);
    return this.#samples.subarray(0, length);
  }

  coverage(length: number): Uint8Array {
    this.#make(length);
    return this.#covered.subarray(0, length);
  }

  lay(audio: Int16Array, from: number): void {
    const hidden = Math.min(audio.length, Math.max(0, -from));
    if (hidden === audio.length) return;
    const to = from + audio.length;
    this.#cover(from + hidden, to);
    this.#samples.set(hidden === 0 ? audio : audio.subarray(hidden), from + hidden);
  }

  layG711(codec: G711, bytes: Uint8Array, offset: number, length: number, from: number): void {
    const hidden = Math.min(length, Math.max(0, -from));
    if (hidden === length) return;
    this.#cover(from + hidden, from + length);
    decodeInto(codec, bytes, offset + hidden, length - hidden, this.#samples, from + hidden);
  }

  #cover(from: number, to: number): void {
    this.#make(to);
    this.#covered.fill(1, from, to);
    this.laid += to - from;
    if (to > this.end) this.end = to;
  }

  #make(length: number): void {
    if (length <= this.#samples.length) return;
    const larger = Math.max(length, Math.ceil(this.#samples.length * 1.25));
    const [samples, covered] = [new Int16Array(larger), new Uint8Array(larger)];
    samples.set(this.#samples);
    covered.set(this.#covered);
    [this.#samples, this.#covered] = [samples, covered];
  }
}

function lay(
  { rows, segments }: HeardSide,
  batches: readonly Uint8Array[],
  rate: SampleRate,
  lastsMs: number,
): Track {
  const samplesPerMs = rate / 1_000;
  const track = new Track(Math.max(0, Math.ceil((lastsMs + 1_000) * samplesPerMs)));
  for (const segment of segments) {
    const lines = linesOf(rows, segment);
    const order = inSendingOrder(rows, segment);
    const placeOf = (row: number): number => {
      const sentMs = rows.sentMs[row]!;
      return Math.round((sentMs + lines[windowOf(sentMs)]!) * samplesPerMs);
    };
    const { codec } = segment;
    if (isG711(codec) && rate === 8_000) {
      for (const row of order)
        track.layG711(codec, batches[rows.batch[row]!]!, rows.offset[row]!, rows.bytes[row]!, placeOf(row));
      continue;
    }
    const payloads = Array.from(order, (row) => {
      const offset = rows.offset[row]!;
      return batches[rows.batch[row]!]!.subarray(offset, offset + rows.bytes[row]!);
    });
    for (const [index, audio] of decodeRun(codec, payloads, rate).entries())
      track.lay(audio, placeOf(order[index]!));
  }
  return track;
}

/** What overtook a segment's first packet belongs to its first window. */
function windowOf(sentMs: number): number {
  return Math.max(0, Math.floor(sentMs / windowMs));
}

/** Where on the time line each window's timestamps begin, milliseconds. */
function linesOf({ sentMs, delayMs }: PacketRows, { from, to }: Segment): Float64Array {
  let windows = 0;
  for (let row = from; row < to; row++) windows = Math.max(windows, windowOf(sentMs[row]!) + 1);
  const lines = new Float64Array(windows).fill(Number.POSITIVE_INFINITY);
  const counts = new Uint32Array(windows);
  for (let row = from; row < to; row++) {
    const window = windowOf(sentMs[row]!);
    counts[window]! += 1;
    if (delayMs[row]! < lines[window]!) lines[window] = delayMs[row]!;
  }
  let line: number | undefined;
  for (let window = 0; window < windows; window++) {
    const least = lines[window]!;
    if (line === undefined || (counts[window]! >= tellingPackets && Math.abs(least - line) > stepMs))
      line = least;
    lines[window] = line;
  }
  return lines;
}

/** A decoder that remembers must hear packets as they were sent, not as they came. */
function inSendingOrder({ sentMs }: PacketRows, { from, to }: Segment): Uint32Array {
  const order = new Uint32Array(to - from);
  let sorted = true;
  for (let row = from; row < to; row++) {
    order[row - from] = row;
    if (row > from && sentMs[row]! < sentMs[row - 1]!) sorted = false;
  }
  return sorted ? order : order.sort((a, b) => sentMs[a]! - sentMs[b]! || a - b);
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
