/**
 * Opus (RFC 6716) through libopus compiled to WebAssembly: for prompts, encoded once, and for artefacts. Not for a call.
 *
 * Whole streams at a time, because opusscript 0.1.1 takes byte addresses for addresses of 16-bit words: of three
 * instances at once the first writes into the third. Here there is never more than one.
 */
import OpusScript from 'opusscript';

type Rate = 8_000 | 16_000;

/** Bits a second for a voice of 8 kHz: above what a telephone line lets through. */
const bitrate = 24_000;

/** Packets of 20 ms each, the last filled up with silence. */
export function encodeOpus(samples: Int16Array, rate: Rate): Uint8Array[] {
  const codec = new OpusScript(rate, 1, OpusScript.Application.VOIP);
  try {
    codec.setBitrate(bitrate);
    const frameSamples = rate / 50;
    return Array.from({ length: Math.ceil(samples.length / frameSamples) }, (_, at) => {
      const frame = new Int16Array(frameSamples);
      frame.set(samples.subarray(at * frameSamples, (at + 1) * frameSamples));
      return Uint8Array.from(codec.encode(Buffer.from(frame.buffer), frameSamples));
    });
  } finally {
    codec.delete();
  }
}

/** Samples of each packet, of any length that RFC 6716 knows, in the order in which they were sent; none of what is no Opus. */
export function decodeOpus(packets: readonly Uint8Array[], rate: Rate): Int16Array[] {
  const codec = new OpusScript(rate, 1, OpusScript.Application.VOIP);
  try {
    return packets.map((packet) => decodePacket(codec, packet));
  } finally {
    codec.delete();
  }
}

/** Bytes of the largest packet that the library has room for. */
const largestPacket = OpusScript.MAX_PACKET_SIZE;

function decodePacket(codec: OpusScript, packet: Uint8Array): Int16Array {
  if (packet.length === 0 || packet.length > largestPacket) return new Int16Array(0);
  try {
    const pcm = codec.decode(Buffer.from(packet));
    return Int16Array.from({ length: pcm.length >> 1 }, (_, at) => pcm.readInt16LE(2 * at));
  } catch {
    return new Int16Array(0);
  }
}
