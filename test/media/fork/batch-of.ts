import { type BatchedPacket, BatchWriter } from '../../../media/fork/batch.ts';

/** Packets as the relay hands them on. */
export function batchOf(packets: readonly BatchedPacket[]): Uint8Array {
  const writer = new BatchWriter(packets.reduce((sum, { rtp }) => sum + rtp.length + 32, 32));
  for (const { sequence, side, arrivedAt, rtp } of packets)
    writer.append(sequence, side, arrivedAt, rtp, 0, rtp.length);
  return writer.take();
}
