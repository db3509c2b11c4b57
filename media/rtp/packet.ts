/** RTP packets as bytes (RFC 3550 section 5.1). */

/** Fields of a packet; one object serves a thread for all its packets. */
export interface RtpHeader {
  payloadType: number;
  marker: boolean;
  sequence: number;
  timestamp: number;
  ssrc: number;
  /** Where the payload begins and how long it is, CSRCs, extension and padding taken off. */
  payloadOffset: number;
  payloadLength: number;
}

export const rtpHeaderBytes = 12;

export function newRtpHeader(): RtpHeader {
  return {
    payloadType: 0,
    marker: false,
    sequence: 0,
    timestamp: 0,
    ssrc: 0,
    payloadOffset: 0,
    payloadLength: 0,
  };
}

/** RTCP by its type byte where both share a port, or stray there (RFC 5761 section 4). */
export function isRtcp(bytes: Uint8Array, length: number): boolean {
  if (length < 8 || bytes[0]! >>> 6 !== 2) return false;
  const type = bytes[1]!;
  return type >= 192 && type <= 223;
}

/**
 * Reads a packet's header `into` an object of the caller's; allocates nothing.
 *
 * @returns false when it is not a whole RTP packet of version 2
 */
export function readRtp(bytes: Uint8Array, length: number, into: RtpHeader): boolean {
  if (length < rtpHeaderBytes || bytes[0]! >>> 6 !== 2 || isRtcp(bytes, length)) return false;
  let start = rtpHeaderBytes + (bytes[0]! & 0x0f) * 4;
  if ((bytes[0]! & 0x10) !== 0) {
    if (start + 4 > length) return false;
    start += 4 + ((bytes[start + 2]! << 8) | bytes[start + 3]!) * 4;
  }
  const padding = (bytes[0]! & 0x20) !== 0 ? bytes[length - 1]! : 0;
  if (start + padding > length || ((bytes[0]! & 0x20) !== 0 && padding === 0)) return false;
  into.payloadType = bytes[1]! & 0x7f;
  into.marker = bytes[1]! >>> 7 === 1;
  into.sequence = (bytes[2]! << 8) | bytes[3]!;
  into.timestamp = ((bytes[4]! << 24) | (bytes[5]! << 16) | (bytes[6]! << 8) | bytes[7]!) >>> 0;
  into.ssrc = ((bytes[8]! << 24) | (bytes[9]! << 16) | (bytes[10]! << 8) | bytes[11]!) >>> 0;
  into.payloadOffset = start;
  into.payloadLength = length - start - padding;
  return true;
}

/** Sets type, marker, sequence, timestamp and SSRC; version, padding, extension and CSRCs stay as they are. */
export function writeHeader(
  packet: Uint8Array,
  payloadType: number,
  marker: boolean,
  sequence: number,
  timestamp: number,
  ssrc: number,
): void {
  packet[1] = (marker ? 0x80 : 0) | payloadType;
  packet[2] = sequence >>> 8;
  packet[3] = sequence;
  packet[4] = timestamp >>> 24;
  packet[5] = timestamp >>> 16;
  packet[6] = timestamp >>> 8;
  packet[7] = timestamp;
  packet[8] = ssrc >>> 24;
  packet[9] = ssrc >>> 16;
  packet[10] = ssrc >>> 8;
  packet[11] = ssrc;
}
