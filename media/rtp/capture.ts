/** RTP packets as a capture file, for programs that decode what we do not (Wireshark, tshark). */
import type { EpochMicros, Side } from '../../config/units.ts';

export interface CapturedPacket {
  side: Side;
  arrivedAt: EpochMicros;
  rtp: Uint8Array;
}

const magicOfMicroseconds = 0xa1b2_c3d4;
/** Packets begin with their IP header: `LINKTYPE_RAW` of the registry of link-layer types. */
const linkTypeRaw = 101;
const [ipBytes, udpBytes] = [20, 8];
/** Addresses for documentation (RFC 5737), so that nobody takes them for a party's. */
const addresses: Record<Side, readonly number[]> = { caller: [192, 0, 2, 1], agent: [192, 0, 2, 2] };
const ports: Record<Side, number> = { caller: 4_000, agent: 4_002 };

/**
 * A libpcap file (version 2.4): each packet as received, with the instant of its arrival, from the address of its side to
 * that of the other. Each side is one stream of RTP to whoever reads it.
 */
export function captureOf(packets: readonly CapturedPacket[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(magicOfMicroseconds, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(0xffff, 16);
  header.writeUInt32LE(linkTypeRaw, 20);
  return Buffer.concat([header, ...packets.map(recordOf)]);
}

function recordOf({ side, arrivedAt, rtp }: CapturedPacket): Buffer {
  const other = side === 'caller' ? 'agent' : 'caller';
  const length = ipBytes + udpBytes + rtp.length;
  const record = Buffer.alloc(16 + length);
  record.writeUInt32LE(Math.floor(arrivedAt / 1_000_000), 0);
  record.writeUInt32LE(arrivedAt % 1_000_000, 4);
  record.writeUInt32LE(length, 8);
  record.writeUInt32LE(length, 12);
  const ip = record.subarray(16);
  ip[0] = 0x45;
  ip.writeUInt16BE(length, 2);
  ip[8] = 64;
  ip[9] = 17;
  ip.set(addresses[side], 12);
  ip.set(addresses[other], 16);
  ip.writeUInt16BE(checksumOf(ip.subarray(0, ipBytes)), 10);
  // A UDP checksum of nought is none (RFC 768).
  ip.writeUInt16BE(ports[side], ipBytes);
  ip.writeUInt16BE(ports[other], ipBytes + 2);
  ip.writeUInt16BE(udpBytes + rtp.length, ipBytes + 4);
  ip.set(rtp, ipBytes + udpBytes);
  return record;
}

/** Of an IP header whose own checksum is nought (RFC 1071). */
function checksumOf(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
