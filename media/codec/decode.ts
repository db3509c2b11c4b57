/** From what was sent to samples. */
import type { CodecName } from './formats.ts';
import { decodePcma, decodePcmu } from './g711.ts';
import { G722Decoder } from './g722.ts';
import { Doubler } from './resample.ts';

export type SampleRate = 8_000 | 16_000;

/** G.729 is not decoded: it is kept as it came. */
export type DecodedCodec = Exclude<CodecName, 'G729'>;

export function isDecoded(codec: CodecName): codec is DecodedCodec {
  return codec !== 'G729';
}

/** The rate that loses nothing of a codec that matters for a voice. */
export function rateOf(codec: DecodedCodec): SampleRate {
  return codec === 'G722' || codec === 'OPUS' ? 16_000 : 8_000;
}

/** Samples that a byte of payload makes at a rate not below the codec's own. */
export function samplesPerByte(codec: Exclude<DecodedCodec, 'OPUS'>, rate: SampleRate): number {
  return codec === 'G722' ? 2 : rate / 8_000;
}

/**
 * A decoder of one run of packets, which must be given in the order in which they were sent; undefined where each byte
 * stands for a sample of its own (`decodeInto`). G.711 at 16 kHz comes 2 ms late.
 */
export function decoderOf(
  codec: Exclude<DecodedCodec, 'OPUS'>,
  rate: SampleRate,
): ((payload: Uint8Array) => Int16Array) | undefined {
  if (codec === 'G722') {
    const decoder = new G722Decoder();
    return (payload) => decoder.decode(payload);
  }
  if (rate === 8_000) return undefined;
  const decode = codec === 'PCMA' ? decodePcma : decodePcmu;
  const doubler = new Doubler();
  return (payload) => doubler.double(decode(payload));
}
