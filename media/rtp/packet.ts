/** RTP packets as bytes (RFC 3550 section 5.1). */

/** Fields of a packet; one object serves a thread for all its packets. */
export interface RtpHeader {
  payloadType: number;
  marker: boolean;
  sequence: number;
  timestamp: number;
  ssrc: number;
  /** Where in the memory that was read the payload begins and how long it is, CSRCs, extension and padding taken off. */
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
export function isRtcp(bytes: Uint8Array, length: number, at = 0): boolean {
  if (length < 8 || bytes[at]! >>> 6 !== 2) return false;
  const type = bytes[at + 1]!;
  return type >= 192 && type <= 223;
}

/**
 * Reads the header of the packet of `length` bytes at `at` `into` an object of the caller's; allocates nothing.
 *
 * @returns false when it is not a whole RTP packet of version 2
 */
export function readRtp(bytes: Uint8Array, length: number, into: RtpHeader, at = 0): boolean {
  const first = bytes[at]!;
  if (length < rtpHeaderBytes || first >>> 6 !== 2 || isRtcp(bytes, length, at)) return false;
  let start = rtpHeaderBytes + (first & 0x0f) * 4;
  if ((first & 0x10) !== 0) {
    if (start + 4 > length) return false;
    start += 4 + ((bytes[at + start + 2]! << 8) | bytes[at + start + 3]!) * 4;
  }
  const padding = (first & 0x20) !== 0 ? bytes[at + length - 1]! : 0;
  if (start + padding > length || ((first & 0x20) !== 0 && padding === 0)) return false;
  into.payloadType = bytes[at + 1]! & 0x7f;
  into.marker = bytes[at + 1]! >>> 7 === 1;
  into.sequence = (bytes[at + 2]! << 8) | bytes[at + 3]!;
  into.timestamp =
    ((bytes[at + 4]! << 24) | (bytes[at + 5]! << 16) | (bytes[at + 6]! << 8) | bytes[at + 7]!) >>> 0;
  into.ssrc =
    ((bytes[at + 8]! << 24) | (bytes[at + 9]! << 16) | (bytes[at + 10]! << 8) | bytes[at + 11]!) >>> 0;
  into.payloadOffset = at + start;
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
