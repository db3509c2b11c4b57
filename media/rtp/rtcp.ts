/** RTCP crossing the relay (RFC 3550 section 6): each side knows only the SSRC that we send it. */

const senderReport = 200;
const receiverReport = 201;
const sourceDescription = 202;
const goodbye = 203;
const senderInfoBytes = 20;
const reportBlockBytes = 24;

/** Whose SSRCs stand where after the crossing. */
export interface RtcpMapping {
  /** SSRC of the stream that the receiving side hears from us. */
  sender: number;
  /** SSRC that the receiving side's far end sends with: what report blocks speak of. */
  reported: number;
  /**
   * Of that far end: its first and highest sequence number so far, extended by the cycles, and what was added to its numbers on
   * their way to the one who reports.
   */
  source: { first: number; highest: number; sequenceOffset: number };
  /** Added to the RTP timestamp of sender reports, ticks. */
  timestampOffset: number;
  /** Of our stream since its first packet: it goes on when its source is another one, which counts from nought. */
  sent: { packets: number; octets: number };
}

/**
 * Rewrites a compound RTCP packet in place. Packets of other types are cut off with all that follows them, since the
 * relay cannot vouch for what SSRCs they carry.
 *
 * @returns the length that may be sent on; 0 when nothing of it may
 */
export function rewriteRtcp(
  packet: Uint8Array,
  length: number,
  { sender, reported, source, timestampOffset, sent }: RtcpMapping,
): number {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  let at = 0;
  while (at + 8 <= length) {
    const size = (view.getUint16(at + 2) + 1) * 4;
    if (view.getUint8(at) >>> 6 !== 2 || at + size > length) return at;
    const type = view.getUint8(at + 1);
    const count = view.getUint8(at) & 0x1f;
    if (type < senderReport || type > goodbye) return at;
    if (count > 0 || type === senderReport || type === receiverReport) view.setUint32(at + 4, sender);
    if (type === sourceDescription && count > 1) return at;
    if (type === senderReport || type === receiverReport) {
      const blocks = at + 8 + (type === senderReport ? senderInfoBytes : 0);
      if (blocks + count * reportBlockBytes > at + size) return at;
      if (type === senderReport) {
        view.setUint32(at + 16, (view.getUint32(at + 16) + timestampOffset) >>> 0);
        view.setUint32(at + 20, sent.packets >>> 0);
        view.setUint32(at + 24, sent.octets >>> 0);
      }
      for (let block = blocks; block < blocks + count * reportBlockBytes; block += reportBlockBytes) {
        view.setUint32(block, reported);
        view.setUint32(block + 8, highestOfSource(view.getUint32(block + 8), source));
      }
    }
    at += size;
  }
  return at;
}

/**
 * The highest sequence number that was heard, as its source counts: what was heard of our stream before that source spoke is
 * before its first packet, and nobody heard more than it sent.
 */
function highestOfSource(heard: number, { first, highest, sequenceOffset }: RtcpMapping['source']): number {
  const behind = (highest - (heard - sequenceOffset)) & 0xffff;
  const ahead = behind >= 0x8000;
  return (ahead ? highest : Math.max(first, highest - behind)) >>> 0;
}
