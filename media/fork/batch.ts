/**
 * Copies of RTP packets on their way from the relay to the store: as received, several in one piece of memory.
 *
 * One byte of version, then for each packet, big-endian: sequence in its recording (4 bytes), side (1 byte: 0 caller,
 * 1 agent), arrival in microseconds since the epoch (8), length (2), the packet.
 */
import { TacetError } from '../../config/errors.ts';
import type { EpochMicros, Side } from '../../config/units.ts';

const version = 1;
const prefixBytes = 1;
const headerBytes = 15;
const twoTo32 = 0x1_0000_0000;

/** What claims to be a batch is none: another version, cut short, or with a value outside its range. */
export class BatchMalformed extends TacetError {
  readonly position: number;
  constructor(position: number, detail: string) {
    super(`batch of RTP copies is malformed at byte ${position}: ${detail}`);
    this.position = position;
  }
}

export interface BatchedPacket {
  sequence: number;
  side: Side;
  arrivedAt: EpochMicros;
  /** Shares memory with the batch. */
  rtp: Uint8Array;
}

/** Gathers packets without allocating; a full recording's worth of copies passes here every second. */
export class BatchWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #used = prefixBytes;
  #count = 0;

  constructor(capacity = 16_384) {
    this.#bytes = new Uint8Array(Math.max(capacity, prefixBytes + headerBytes));
    this.#view = new DataView(this.#bytes.buffer);
    this.#bytes[0] = version;
  }

  /** Bytes that `take` would give now, the version byte included. */
  get size(): number {
    return this.#used;
  }

  /** Packets gathered since the last `take`. */
  get count(): number {
    return this.#count;
  }

  /**
   * Adds the packet at `packet[offset, offset + length)`.
   *
   * @param sequence  number in its recording, 32 bits
   * @param arrivedAt microseconds since the epoch, an integer (`EpochMicros`)
   * @returns false when it does not fit: nothing was added. Into an empty writer, that is a packet too large for any
   *          batch of this capacity.
   */
  append(
    sequence: number,
    side: Side,
    arrivedAt: number,
    packet: Uint8Array,
    offset: number,
    length: number,
  ): boolean {
    const at = this.#used;
    if (length > 0xffff || at + headerBytes + length > this.#bytes.length) return false;
    const view = this.#view;
    view.setUint32(at, sequence);
    view.setUint8(at + 4, side === 'caller' ? 0 : 1);
    view.setUint32(at + 5, Math.floor(arrivedAt / twoTo32));
    view.setUint32(at + 9, arrivedAt % twoTo32);
    view.setUint16(at + 13, length);
    // A loop, because subarray() for set() would allocate a view for every packet.
    const bytes = this.#bytes;
    const start = at + headerBytes;
    for (let index = 0; index < length; index += 1) bytes[start + index] = packet[offset + index]!;
    this.#used = start + length;
    this.#count += 1;
    return true;
  }

  /** The batch where it lies, good until the next `append`; the writer is empty again. */
  lend(): Uint8Array {
    const batch = this.#bytes.subarray(0, this.#used);
    this.#used = prefixBytes;
    this.#count = 0;
    return batch;
  }

  /** The batch as a fresh copy with an ArrayBuffer of its own (it can be transferred); the writer is empty again. */
  take(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.lend());
  }
}

/** Goes through a batch in the order of writing; one object serves for all its packets. */
export class BatchCursor {
  readonly #batch: Uint8Array;
  readonly #view: DataView;
  #next = prefixBytes;
  sequence = 0;
  side: Side = 'caller';
  /** Microseconds since the epoch (`EpochMicros`). */
  arrivedAt = 0;
  /** Where the packet lies in the batch. */
  offset = 0;
  length = 0;

  /** @throws BatchMalformed */
  constructor(batch: Uint8Array) {
    if (batch.length < prefixBytes) throw new BatchMalformed(0, 'it is empty');
    if (batch[0] !== version) throw new BatchMalformed(0, `version ${batch[0]!}, this is version ${version}`);
    this.#batch = batch;
    this.#view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  }

  /** Goes to the next packet; false after the last. @throws BatchMalformed */
  next(): boolean {
    const at = this.#next;
    const view = this.#view;
    if (at === this.#batch.length) return false;
    if (at + headerBytes > this.#batch.length) throw new BatchMalformed(at, 'a header is cut short');
    const side = view.getUint8(at + 4);
    if (side > 1) throw new BatchMalformed(at + 4, `side ${side} is neither caller (0) nor agent (1)`);
    const arrivedAt = view.getUint32(at + 5) * twoTo32 + view.getUint32(at + 9);
    if (!Number.isSafeInteger(arrivedAt)) throw new BatchMalformed(at + 5, 'an arrival beyond the year 2255');
    const length = view.getUint16(at + 13);
    if (at + headerBytes + length > this.#batch.length)
      throw new BatchMalformed(at + 13, 'a packet is cut short');
    this.sequence = view.getUint32(at);
    this.side = side === 0 ? 'caller' : 'agent';
    this.arrivedAt = arrivedAt;
    this.offset = at + headerBytes;
    this.length = length;
    this.#next = this.offset + length;
    return true;
  }
}

/** How many packets a batch has, all of them looked at. @throws BatchMalformed */
export function countPackets(batch: Uint8Array): number {
  const cursor = new BatchCursor(batch);
  let count = 0;
  while (cursor.next()) count += 1;
  return count;
}

/**
 * Reads a batch back, in the order of writing.
 *
 * @throws BatchMalformed
 */
export function decodeBatch(batch: Uint8Array): BatchedPacket[] {
  const cursor = new BatchCursor(batch);
  const packets: BatchedPacket[] = [];
  while (cursor.next()) {
    packets.push({
      sequence: cursor.sequence,
      side: cursor.side,
      arrivedAt: cursor.arrivedAt as EpochMicros,
      rtp: batch.subarray(cursor.offset, cursor.offset + cursor.length),
    });
  }
  return packets;
}
