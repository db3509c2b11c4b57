/**
 * How much audio an Opus packet carries, read from its framing alone (RFC 6716 section 3): where it stands in a recording is known
 * before it is decoded, and the decoder is shown nothing that is no Opus.
 */

/** A quarter of a millisecond is a whole number of samples at every rate that Opus knows. */
const ticksPerMs = 4;
const longestPacket = 120 * ticksPerMs;
const longestFrame = 1_275;

/** Frame lengths by the low bits of the configuration (table 2), in ticks. */
const silk = [10, 20, 40, 60].map((ms) => ms * ticksPerMs);
const celt = [2.5, 5, 10, 20].map((ms) => ms * ticksPerMs);

/** @returns milliseconds of audio; 0 where the bytes break a rule of RFC 6716 section 3.4 */
export function opusMs(packet: Uint8Array): number {
  const toc = packet[0];
  if (toc === undefined) return 0;
  const frames = framesOf(packet, toc & 3);
  const ticks = frames * frameTicks(toc >> 3);
  return ticks <= longestPacket ? ticks / ticksPerMs : 0;
}

function frameTicks(configuration: number): number {
  if (configuration >= 16) return celt[configuration & 3]!;
  if (configuration >= 12) return silk[configuration & 1]!;
  return silk[configuration & 3]!;
}

/** Frames in a packet; 0 where they do not fill it as its code says. */
function framesOf(packet: Uint8Array, code: number): number {
  const bytes = packet.length - 1;
  switch (code) {
    case 0:
      return bytes <= longestFrame ? 1 : 0;
    case 1:
      return bytes % 2 === 0 && bytes / 2 <= longestFrame ? 2 : 0;
    case 2: {
      const first = lengthAt(packet, 1);
      if (first === undefined) return 0;
      const last = packet.length - first.next - first.length;
      return last >= 0 && last <= longestFrame ? 2 : 0;
    }
    default:
      return manyFrames(packet);
  }
}

/** Code 3: as many frames as the second byte says, each of its own length or all of one, with padding or without. */
function manyFrames(packet: Uint8Array): number {
  const header = packet[1];
  if (header === undefined) return 0;
  const frames = header & 0x3f;
  if (frames === 0) return 0;
  let at = 2;
  let end = packet.length;
  if ((header & 0x40) !== 0) {
    for (let more = 255; more === 255;) {
      const padding = packet[at++];
      if (padding === undefined) return 0;
      end -= padding === 255 ? 254 : padding;
      more = padding;
    }
  }
  if ((header & 0x80) === 0) {
    const rest = end - at;
    return rest >= 0 && rest % frames === 0 && rest / frames <= longestFrame ? frames : 0;
  }
  for (let frame = 1; frame < frames; frame++) {
    const length = lengthAt(packet, at);
    if (length === undefined) return 0;
    at = length.next;
    end -= length.length;
  }
  const last = end - at;
  return last >= 0 && last <= longestFrame ? frames : 0;
}

/** A frame's length in one byte or two (section 3.2.1), and what comes after it. */
function lengthAt(packet: Uint8Array, at: number): { length: number; next: number } | undefined {
  const first = packet[at];
  if (first === undefined) return undefined;
  if (first < 252) return { length: first, next: at + 1 };
  const second = packet[at + 1];
  return second === undefined ? undefined : { length: 4 * second + first, next: at + 2 };
}
