/**
 * What a recording's packets say of when their audio was spoken (pure). A segment is a run of packets of one source and
 * codec whose timestamps belong together; packets stand in columns, because an object for each costs more than its audio.
 */
import type { EpochMicros, Side } from '../../config/units.ts';
import { BatchCursor } from '../fork/batch.ts';
import { isDecoded, type DecodedCodec } from '../codec/decode.ts';
import { codecOfRtpmap, formats, type CodecName } from '../codec/formats.ts';
import { newRtpHeader, readRtp } from './packet.ts';

/** Timestamps further off from arrival than this are a jump, not jitter. */
const jumpMs = 500;

/** Batches of a recording by their numbers, in memory or in a file: an array is one. */
export interface BatchList extends Iterable<Uint8Array> {
  at(number: number): Uint8Array | undefined;
}

/** Rows that are made room for at first: twenty seconds. */
const firstRows = 1_024;

/** Packets of one side, a row each, in the order in which they came. */
export class PacketRows {
  /** Milliseconds by the timestamps since the segment's first packet; below zero for one that it overtook. */
  sentMs = new Float64Array(firstRows);
  /** Arrival, in milliseconds since the recording's start, less `sentMs`. */
  delayMs = new Float64Array(firstRows);
  /** Where the payload lies: in which batch, from which byte, how many. */
  batch = new Uint32Array(firstRows);
  offset = new Uint32Array(firstRows);
  bytes = new Uint16Array(firstRows);
  used = 0;

  add(sentMs: number, delayMs: number, batch: number, offset: number, bytes: number): void {
    if (this.used === this.sentMs.length) this.#grow();
    const row = this.used++;
    this.sentMs[row] = sentMs;
    this.delayMs[row] = delayMs;
    this.batch[row] = batch;
    this.offset[row] = offset;
    this.bytes[row] = bytes;
  }

  #grow(): void {
    const { sentMs, delayMs, batch, offset, bytes } = this;
    const rows = 2 * this.used;
    this.sentMs = new Float64Array(rows);
    this.delayMs = new Float64Array(rows);
    this.batch = new Uint32Array(rows);
    this.offset = new Uint32Array(rows);
    this.bytes = new Uint16Array(rows);
    this.sentMs.set(sentMs);
    this.delayMs.set(delayMs);
    this.batch.set(batch);
    this.offset.set(offset);
    this.bytes.set(bytes);
  }
}

export interface Segment {
  readonly ssrc: number;
  readonly codec: DecodedCodec;
  /** RTP timestamp of its first packet. */
  readonly timestamp: number;
  /** Its rows: from the first to before the last. */
  readonly from: number;
  to: number;
}

export interface HeardSide {
  rows: PacketRows;
  segments: Segment[];
}

export interface Heard {
  sides: Record<Side, HeardSide>;
  /** Payload types that were audio of a codec that is not decoded here. */
  undecoded: string[];
  firstPacketAt: EpochMicros | undefined;
  lastPacketAt: EpochMicros | undefined;
}

export type SideCodecs = Record<Side, Record<string, string>>;

/** @throws BatchMalformed */
export function readSegments(batches: BatchList, codecs: SideCodecs, startedAt: EpochMicros): Heard {
  const undecoded = new Set<string>();
  const readers = {
    caller: new SideReader(codecs.caller, startedAt, undecoded),
    agent: new SideReader(codecs.agent, startedAt, undecoded),
  };
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let number = 0;
  for (const batch of batches) {
    const cursor = new BatchCursor(batch);
    while (cursor.next()) {
      first = Math.min(first, cursor.arrivedAt);
      last = Math.max(last, cursor.arrivedAt);
      readers[cursor.side].take(batch, number, cursor);
    }
    number += 1;
  }
  const none = first > last;
  return {
    sides: readers,
    undecoded: [...undecoded],
    firstPacketAt: none ? undefined : (first as EpochMicros),
    lastPacketAt: none ? undefined : (last as EpochMicros),
  };
}

/** What a payload type is: audio of a codec, audio that is not decoded, or no audio at all. */
type Meaning = { codec: DecodedCodec } | { undecoded: string } | 'no-audio';

class SideReader implements HeardSide {
  readonly rows = new PacketRows();
  readonly segments: Segment[] = [];
  readonly #codecs: Record<string, string>;
  readonly #startedAt: EpochMicros;
  readonly #undecoded: Set<string>;
  readonly #meanings: (Meaning | undefined)[] = [];
  readonly #seen = new RecentPackets();
  readonly #header = newRtpHeader();
  /** Of the last packet. */
  #delayMs = 0;

  constructor(codecs: Record<string, string>, startedAt: EpochMicros, undecoded: Set<string>) {
    this.#codecs = codecs;
    this.#startedAt = startedAt;
    this.#undecoded = undecoded;
  }

  take(batch: Uint8Array, number: number, { offset, length, arrivedAt }: BatchCursor): void {
    const header = this.#header;
    if (!readRtp(batch, length, header, offset) || header.payloadLength === 0) return;
    const { payloadType, ssrc, timestamp } = header;
    const meaning = (this.#meanings[payloadType] ??= this.#meaningOf(payloadType));
    if (meaning === 'no-audio') return;
    if ('undecoded' in meaning) {
      this.#undecoded.add(meaning.undecoded);
      return;
    }
    if (this.#seen.has(ssrc, header.sequence, timestamp)) return;
    const { codec } = meaning;
    const arrivedMs = (arrivedAt - this.#startedAt) / 1_000;
    let segment = this.segments.at(-1);
    let sentMs = 0;
    if (segment !== undefined)
      sentMs = ((timestamp - segment.timestamp) | 0) / (formats[codec].clockRate / 1_000);
    if (
      segment?.ssrc !== ssrc ||
      segment.codec !== codec ||
      Math.abs(arrivedMs - sentMs - this.#delayMs) > jumpMs
    ) {
      segment = { ssrc, codec, timestamp, from: this.rows.used, to: this.rows.used };
      this.segments.push(segment);
      sentMs = 0;
    }
    this.#delayMs = arrivedMs - sentMs;
    this.rows.add(sentMs, this.#delayMs, number, header.payloadOffset, header.payloadLength);
    segment.to = this.rows.used;
  }

  #meaningOf(payloadType: number): Meaning {
    const rtpmap = this.#codecs[payloadType] ?? staticRtpmap(payloadType);
    if (rtpmap.startsWith('telephone-event') || payloadType === 13) return 'no-audio';
    const codec = codecOfRtpmap(rtpmap);
    return codec !== undefined && isDecoded(codec) ? { codec } : { undecoded: rtpmap };
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
