/**
 * Opus (RFC 6716) through libopus compiled to WebAssembly: opusscript encodes prompts, once each; opus-decoder decodes streams,
 * as many side by side as there are, each in a memory of its own.
 *
 * Encoding is a whole stream at a time, because opusscript 0.1.1 takes byte addresses for addresses of 16-bit words: of three
 * instances at once the first writes into the third. Here there is never more than one.
 */
import { OpusDecoder } from 'opus-decoder';
import OpusScript from 'opusscript';
import { opusMs } from './opus-packet.ts';

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

/**
 * Bytes of the largest packet that is decoded: what a datagram of Ethernet carries is 1,472, and the library's own room for
 * one of a single channel is 3,840.
 */
const largestPacket = 3_840;

/** One stream, whose packets must be given in the order in which they were sent. It has nothing to let go of but its memory. */
export class OpusStream {
  readonly #decoder: OpusDecoder<Rate>;

  private constructor(decoder: OpusDecoder<Rate>) {
    this.#decoder = decoder;
  }

  /** A millisecond or two, more for the first of a thread. */
  static async open(rate: Rate): Promise<OpusStream> {
    const decoder = new OpusDecoder({ sampleRate: rate, channels: 1 });
    await decoder.ready;
    return new OpusStream(decoder);
  }

  /** Samples of a packet, of any length that RFC 6716 knows: as many as `opusMs` tells; none of what is no Opus. */
  decode(packet: Uint8Array): Int16Array {
    // The library writes to the console what it cannot read.
    if (packet.length > largestPacket || opusMs(packet) === 0) return new Int16Array(0);
    const { channelData, samplesDecoded } = this.#decoder.decodeFrame(packet);
    const samples = new Int16Array(samplesDecoded);
    for (let at = 0; at < samplesDecoded; at++) {
      samples[at] = Math.max(-32_768, Math.min(32_767, Math.round(channelData[0]![at]! * 32_768)));
    }
    return samples;
  }
}
