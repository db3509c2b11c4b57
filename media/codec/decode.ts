/** From what was sent to samples: a run of packets of one source, in the order in which they were sent. */
import type { CodecName } from './formats.ts';
import { decodePcma, decodePcmu } from './g711.ts';
import { G722Decoder } from './g722.ts';
import { decodeOpus } from './opus.ts';
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

/** Samples of each payload, at a rate not below the codec's own. G.711 at 16 kHz comes 2 ms late. */
export function decodeRun(
  codec: DecodedCodec,
  payloads: readonly Uint8Array[],
  rate: SampleRate,
): Int16Array[] {
  switch (codec) {
    case 'PCMA':
    case 'PCMU': {
      const decode = codec === 'PCMA' ? decodePcma : decodePcmu;
      if (rate === 8_000) return payloads.map(decode);
      const doubler = new Doubler();
      return payloads.map((payload) => doubler.double(decode(payload)));
    }
    case 'G722': {
      const decoder = new G722Decoder();
      return payloads.map((payload) => decoder.decode(payload));
    }
    case 'OPUS':
      return decodeOpus(payloads, rate);
  }
}
