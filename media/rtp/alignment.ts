/**
 * Two RTP streams on one time line (pure). A side's packets are placed by their timestamps, the time line's anchor being
 * the arrival of the side's packets: an anchor per source, moved when the far end's clock drifts, and set anew when the
 * source or its timestamps jump.
 */
import type { EpochMicros, Side } from '../../config/units.ts';
import type { BatchedPacket } from '../fork/batch.ts';
import type { Gap } from '../fork/sink.ts';
import type { GapKind } from '../plane.ts';
import { decodePcma, decodePcmu } from '../codec/g711.ts';
import { newRtpHeader, readRtp } from './packet.ts';

const samplesPerMs = 8;
/** Timestamps further off from arrival than this are a jump, not jitter. */
const jumpMs = 500;
/** The anchor follows a slow clock by this share of the difference a packet: 100 ppm are followed within a millisecond. */
const drift = 1 / 256;
/** Holes shorter than this are a codec's frame boundary, not worth a line. */
const listedMs = 5;

export interface AlignedGap {
  side: Side;
  fromMs: number;
  toMs: number;
  kind: GapKind;
}

export interface Alignment {
  /** 8 kHz, both of the same length. */
  samples: Record<Side, Int16Array>;
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
  const placed = { caller: place('caller'), agent: place('agent') };
  const lastEnd = Math.max(placed.caller.end, placed.agent.end, (endedAt - startedAt) / 1_000);
  const length = Math.max(0, Math.round(lastEnd * samplesPerMs));
  const samples = { caller: new Int16Array(length), agent: new Int16Array(length) };
  const storedMs = { caller: 0, agent: 0 };
  const listed: AlignedGap[] = [];
  for (const side of sides) {
    const covered = new Uint8Array(length);
    for (const { at, audio } of placed[side].pieces) {
      const from = Math.round(at * samplesPerMs);
      for (let index = Math.max(0, -from); index < audio.length && from + index < length; index++) {
        samples[side][from + index] = audio[index]!;
        covered[from + index] = 1;
      }
    }
    storedMs[side] = covered.reduce((sum, each) => sum + each, 0) / samplesPerMs;
    listed.push(...listGaps(side, covered, gaps, startedAt));
  }
  return {
    samples,
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

  function place(side: Side): { pieces: { at: number; audio: Int16Array }[]; end: number } {
    const header = newRtpHeader();
    const pieces: { at: number; audio: Int16Array }[] = [];
    const seen = new Set<string>();
    let end = 0;
    let anchor: { ssrc: number; timestamp: number; ms: number } | undefined;
    for (const { side: from, arrivedAt, rtp } of packets) {
      if (from !== side || !readRtp(rtp, rtp.length, header) || header.payloadLength === 0) continue;
      const codec = codecs[side][header.payloadType] ?? `payload type ${header.payloadType}`;
      if (codec.startsWith('telephone-event') || header.payloadType === 13) continue;
      if (codec !== 'PCMA/8000' && codec !== 'PCMU/8000') {
        undecoded.add(codec);
        continue;
      }
      const arrivedMs = (arrivedAt - startedAt) / 1_000;
      if (anchor === undefined || anchor.ssrc !== header.ssrc) {
        anchor = { ssrc: header.ssrc, timestamp: header.timestamp, ms: arrivedMs };
        seen.clear();
      }
      const repeated = `${header.sequence} ${header.timestamp}`;
      if (seen.has(repeated)) continue;
      seen.add(repeated);
      const ticks = (header.timestamp - anchor.timestamp) | 0;
      let at = anchor.ms + ticks / samplesPerMs;
      const off = arrivedMs - at;
      if (Math.abs(off) > jumpMs) {
        anchor = { ssrc: header.ssrc, timestamp: header.timestamp, ms: arrivedMs };
        at = arrivedMs;
      } else {
        // A packet is never early: one that seems so shows that the anchor is late. Late ones are mostly jitter.
        anchor.ms += off < 0 ? off / 16 : off * drift;
      }
      const payload = rtp.subarray(header.payloadOffset, header.payloadOffset + header.payloadLength);
      const audio = codec === 'PCMA/8000' ? decodePcma(payload) : decodePcmu(payload);
      pieces.push({ at, audio });
      end = Math.max(end, at + audio.length / samplesPerMs);
    }
    return { pieces, end };
  }
}

/** Runs of samples that nothing covers, each called by what was declared of that time, else lost. */
function listGaps(
  side: Side,
  covered: Uint8Array,
  declared: readonly Gap[],
  startedAt: EpochMicros,
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
