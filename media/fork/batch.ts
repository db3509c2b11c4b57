/**
 * The batch: copies of RTP packets on their way from a relay worker to the store. A version byte, then per packet
 * sequence (u32), side (u8), arrival in microseconds since the epoch (two u32), length (u16), the packet as received.
 */
import { TacetError } from '../../config/errors.ts';
import type { EpochMicros, Side } from '../../config/units.ts';

const version = 1;
const recordHeaderBytes = 15;
const sides: readonly Side[] = ['caller', 'agent'];
const high = 2 ** 32;

/** A batch from the network or from a journal that is not one. */
export class BatchMalformed extends TacetError {}

export interface BatchedPacket {
  /** Counts the recording's packets from 0, without holes. */
  sequence: number;
  side: Side;
  arrivedAt: EpochMicros;
  rtp: Uint8Array;
}

/** Gathers packets without allocating for any of them. */
export class BatchWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #size = 1;
  #count = 0;

  constructor(capacity = 16_384) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
    this.#bytes[0] = version;
  }

  get count(): number {
    return this.#count;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds `length` bytes of `packet` from `offset` on; false when the batch is full and must be taken first. */
  append(
    sequence: number,
    side: Side,
    arrivedAt: number,
    packet: Uint8Array,
    offset: number,
    length: number,
  ): boolean {
    const at = this.#size;
    const end = at + recordHeaderBytes + length;
    if (end > this.#bytes.length) return false;
    this.#view.setUint32(at, sequence);
    this.#view.setUint8(at + 4, side === 'caller' ? 0 : 1);
    this.#view.setUint32(at + 5, Math.floor(arrivedAt / high));
    this.#view.setUint32(at + 9, arrivedAt % high);
    this.#view.setUint16(at + 13, length);
    for (let index = 0; index < length; index++)
      this.#bytes[at + recordHeaderBytes + index] = packet[offset + index]!;
    this.#size = end;
    this.#count += 1;
    return true;
  }

  /** The batch so far, in memory of its own; the writer is empty again. */
  take(): Uint8Array {
    const batch = this.#bytes.slice(0, this.#size);
    this.#size = 1;
    this.#count = 0;
    return batch;
  }
}

/** Reads a batch; the packets are views into it. @throws BatchMalformed */
export function decodeBatch(batch: Uint8Array): BatchedPacket[] {
  if (batch[0] !== version)
    throw new BatchMalformed(`batch of version ${batch[0] ?? 'none'}, not ${version}`);
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const packets: BatchedPacket[] = [];
  let at = 1;
  while (at < batch.length) {
    if (at + recordHeaderBytes > batch.length) throw new BatchMalformed(`record cut short at byte ${at}`);
    const side = sides[view.getUint8(at + 4)];
    const length = view.getUint16(at + 13);
    const start = at + recordHeaderBytes;
    if (side === undefined) throw new BatchMalformed(`no such side at byte ${at + 4}`);
    if (start + length > batch.length) throw new BatchMalformed(`packet cut short at byte ${start}`);
    packets.push({
      sequence: view.getUint32(at),
      side,
      arrivedAt: (view.getUint32(at + 5) * high + view.getUint32(at + 9)) as EpochMicros,
      rtp: batch.subarray(start, start + length),
    });
    at = start + length;
  }
  return packets;
}
