/**
 * One side of a recording (pure): where the audio of each packet stands on the time line, and the audio itself, piece
 * after piece, so that an hour needs no more memory than a minute. Packets are placed by their timestamps, so that jitter
 * moves no sample; where the timestamps begin on the time line is told by the arrivals. No packet comes early: the least
 * delay of a window is the line itself, and all above it jitter.
 */
import { OpusStream } from '../codec/opus.ts';
import { opusMs } from '../codec/opus-packet.ts';
import { decoderOf, samplesPerByte, type DecodedCodec, type SampleRate } from '../codec/decode.ts';
import { isG711 } from '../codec/formats.ts';
import { decodeInto } from '../codec/g711.ts';
import type { BatchList, HeardSide, PacketRows, Segment } from './segments.ts';

/** A far end's clock is followed window by window, in steps that are worth a step: 100 ppm make one every 50 seconds. */
const windowMs = 10_000;
const stepMs = 5;
/** The least delay of fewer packets than this is chance: half a second of them. */
const tellingPackets = 25;

/**
 * Decoders of Opus a side, one for each run of packets: each claims tens of megabytes of addresses, and a far end that begins its
 * stream anew without end must not have more of them. What comes after goes on with the last.
 */
const mostOpusStreams = 16;

/** Audio from one sample to before another. */
export interface Stretch {
  from: number;
  to: number;
}

/** A segment's packets in the order of sending: rows, places on the time line, lengths, both in samples. */
interface Run {
  codec: DecodedCodec;
  rows: Uint32Array;
  places: Int32Array;
  lengths: Int32Array;
  /** The least place of a packet and all after it. */
  least: Int32Array;
  /** The first packet that no piece has come to yet. */
  next: number;
  /** Packets that a piece came to and that do not end in it. */
  live: number[];
  /** Audio of packets that are decoded before their piece is over. */
  audio: Map<number, Int16Array>;
  /** A decoder that remembers; undefined where each byte is a sample. */
  decode: ((payload: Uint8Array) => Int16Array) | undefined;
}

export class Track {
  /** After the last sample of audio. */
  end = 0;
  /** Samples of audio, those twice that stand on one another. */
  laid = 0;
  readonly #rows: PacketRows;
  readonly #batches: BatchList;
  readonly #runs: Run[];
  readonly #rate: SampleRate;
  readonly #stretches: Stretch[] = [];
  #batchNumber = -1;
  #batch: Uint8Array = new Uint8Array(0);

  /** @param rate samples a second */
  constructor({ rows, segments }: HeardSide, batches: BatchList, rate: SampleRate) {
    this.#rows = rows;
    this.#batches = batches;
    this.#rate = rate;
    this.#runs = segments.map((segment) => this.#runOf(segment, rate));
    for (const { places, lengths } of this.#runs)
      for (const [at, place] of places.entries()) this.#cover(Math.max(0, place), place + lengths[at]!);
  }

  /** Where there is audio, in order, none touching the next. */
  stretches(): Stretch[] {
    const sorted = this.#stretches.sort((a, b) => a.from - b.from);
    const joined: Stretch[] = [];
    for (const { from, to } of sorted) {
      const last = joined.at(-1);
      if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
      else joined.push({ from, to });
    }
    return joined;
  }

  /** What a decoder needs to begin; before the first piece is rendered. */
  async open(): Promise<void> {
    const inOpus = this.#runs.filter(({ codec }) => codec === 'OPUS');
    const streams = await Promise.all(
      inOpus.slice(0, mostOpusStreams).map(() => OpusStream.open(this.#rate)),
    );
    for (const [at, run] of inOpus.entries()) {
      const stream = streams[Math.min(at, streams.length - 1)]!;
      run.decode = (payload) => stream.decode(payload);
    }
  }

  /**
   * Writes the samples `from` to before `to` into every second place of `stereo`, which is silent, from `lane` on. Pieces
   * must be asked for in order.
   */
  render(stereo: Int16Array, lane: 0 | 1, from: number, to: number): void {
    for (const run of this.#runs) {
      while (run.next < run.rows.length && run.least[run.next]! < to) this.#reach(run);
      const { live } = run;
      run.live = [];
      for (const at of live) {
        this.#lay(run, at, stereo, lane, from, to);
        if (run.places[at]! + run.lengths[at]! > to) run.live.push(at);
        else run.audio.delete(at);
      }
    }
  }

  #reach(run: Run): void {
    const at = run.next++;
    if (run.decode !== undefined) run.audio.set(at, run.decode(this.#payload(run.rows[at]!)));
    run.live.push(at);
  }

  #lay(run: Run, at: number, stereo: Int16Array, lane: number, from: number, to: number): void {
    const place = run.places[at]!;
    const start = Math.max(place, from);
    const length = Math.min(place + run.lengths[at]!, to) - start;
    if (length <= 0) return;
    const into = (start - from) * 2 + lane;
    const audio = run.audio.get(at);
    if (audio !== undefined) {
      for (let index = 0; index < length; index++) stereo[into + index * 2] = audio[start - place + index]!;
    } else if (isG711(run.codec)) {
      const row = run.rows[at]!;
      const batch = this.#batchOf(row);
      decodeInto(run.codec, batch, this.#rows.offset[row]! + start - place, length, stereo, into, 2);
    }
  }

  #runOf(segment: Segment, rate: SampleRate): Run {
    const { codec } = segment;
    const rows = inSendingOrder(this.#rows, segment);
    const { sentMs, bytes } = this.#rows;
    const lines = linesOf(this.#rows, segment);
    const samplesPerMs = rate / 1_000;
    const places = new Int32Array(rows.length);
    const lengths = new Int32Array(rows.length);
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at]!;
      places[at] = Math.round((sentMs[row]! + lines[windowOf(sentMs[row]!)]!) * samplesPerMs);
      lengths[at] =
        codec === 'OPUS'
          ? opusMs(this.#payload(row)) * samplesPerMs
          : bytes[row]! * samplesPerByte(codec, rate);
    }
    const least = places.slice();
    for (let at = least.length - 2; at >= 0; at--) least[at] = Math.min(least[at]!, least[at + 1]!);
    const decode = codec === 'OPUS' ? undefined : decoderOf(codec, rate);
    return { codec, rows, places, lengths, least, next: 0, live: [], audio: new Map(), decode };
  }

  #payload(row: number): Uint8Array {
    const offset = this.#rows.offset[row]!;
    return this.#batchOf(row).subarray(offset, offset + this.#rows.bytes[row]!);
  }

  #batchOf(row: number): Uint8Array {
    const number = this.#rows.batch[row]!;
    if (number !== this.#batchNumber) {
      this.#batch = this.#batches.at(number)!;
      this.#batchNumber = number;
    }
    return this.#batch;
  }

  #cover(from: number, to: number): void {
    if (to <= from) return;
    this.laid += to - from;
    if (to > this.end) this.end = to;
    const last = this.#stretches.at(-1);
    if (last !== undefined && from >= last.from && from <= last.to) last.to = Math.max(last.to, to);
    else this.#stretches.push({ from, to });
  }
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
