/**
 * Two RTP streams on one time line (pure): how long it is, what is audio on it and what is missing (`track.ts` says where
 * each packet stands), and both sides' samples, piece after piece.
 */
import type { EpochMicros, Side } from '../../config/units.ts';
import type { Gap } from '../fork/sink.ts';
import type { GapKind } from '../plane.ts';
import { rateOf, type SampleRate } from '../codec/decode.ts';
import { readSegments, type BatchList, type SideCodecs } from './segments.ts';
import { Track, type Stretch } from './track.ts';

/** Holes shorter than this are a codec's frame boundary, not worth a line. */
const listedMs = 5;

export interface AlignedGap {
  side: Side;
  fromMs: number;
  toMs: number;
  kind: GapKind;
}

export interface Alignment {
  /** Samples a side; both have as many. */
  length: number;
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
  /**
   * Both sides' samples in turn, the caller's first, in pieces as long as the memory that is lent for them, each of which
   * is good until the next is asked for. Once; the wait is for decoders.
   */
  audio: (memory: Int16Array<ArrayBuffer>) => Promise<Generator<Int16Array<ArrayBuffer>>>;
}

export interface AlignmentInput {
  /** In the order in which the relay wrote them. Gone through once, and asked for again when the audio is. */
  batches: BatchList;
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
    caller: new Track(heard.sides.caller, batches, rate),
    agent: new Track(heard.sides.agent, batches, rate),
  };
  const length = Math.max(0, Math.round(lastsMs * samplesPerMs), ...sides.map((side) => tracks[side].end));
  return {
    length,
    rate,
    startedAt,
    durationMs: length / samplesPerMs,
    gaps: sides.flatMap((side) =>
      listGaps(side, tracks[side].stretches(), gaps, { startedAt, samplesPerMs, length }),
    ),
    storedMs: {
      caller: tracks.caller.laid / samplesPerMs,
      agent: tracks.agent.laid / samplesPerMs,
    },
    firstPacketAt: heard.firstPacketAt,
    undecoded: heard.undecoded,
    audio: async (memory) => {
      await Promise.all([tracks.caller.open(), tracks.agent.open()]);
      return audioOf(tracks, length, memory);
    },
  };
}

function* audioOf(
  tracks: Record<Side, Track>,
  length: number,
  memory: Int16Array<ArrayBuffer>,
): Generator<Int16Array<ArrayBuffer>> {
  const most = memory.length >> 1;
  for (let from = 0; from < length; from += most) {
    const to = Math.min(length, from + most);
    const piece = memory.subarray(0, 2 * (to - from)).fill(0);
    tracks.caller.render(piece, 0, from, to);
    tracks.agent.render(piece, 1, from, to);
    yield piece;
  }
}

/** Time without audio, each gap called by what was declared of it, else lost. */
function listGaps(
  side: Side,
  stretches: readonly Stretch[],
  declared: readonly Gap[],
  { startedAt, samplesPerMs, length }: { startedAt: EpochMicros; samplesPerMs: number; length: number },
): AlignedGap[] {
  const gaps: AlignedGap[] = [];
  let from = 0;
  for (const { from: to, to: next } of [...stretches, { from: length, to: length }]) {
    const [fromMs, toMs] = [from / samplesPerMs, to / samplesPerMs];
    if (toMs - fromMs >= listedMs) {
      const middle = startedAt + ((fromMs + toMs) / 2) * 1_000;
      const kind = declared.find((gap) => gap.side === side && gap.from <= middle && gap.to >= middle)?.kind;
      // Between packets something was lost; before the first and after the last nobody sent.
      const between = from > 0 && to < length;
      gaps.push({ side, fromMs, toMs, kind: kind ?? (between ? 'lost' : 'no-rtp') });
    }
    from = next;
  }
  return gaps;
}
