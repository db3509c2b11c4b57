/** The codecs that a call may go through us in, by their RTP names (RFC 3551, RFC 7587). */
import type { G711 } from './g711.ts';

/** Those that we can play a prompt in: a call in another cannot be told, so it is not recorded. */
export type PlayedCodec = G711 | 'G722' | 'OPUS';
export type CodecName = PlayedCodec | 'G729';

export interface CodecFormat {
  /** What stands in `a=rtpmap`. */
  rtpmap: string;
  /** RTP timestamp ticks a second; of G.722 eight thousand, though it has twice as many samples (RFC 3551 section 4.5.2). */
  clockRate: 8_000 | 48_000;
  /** Payload type that needs no rtpmap; Opus has none. */
  staticType: number | undefined;
  played: boolean;
}

export const formats: Readonly<Record<CodecName, CodecFormat>> = {
  PCMA: { rtpmap: 'PCMA/8000', clockRate: 8_000, staticType: 8, played: true },
  PCMU: { rtpmap: 'PCMU/8000', clockRate: 8_000, staticType: 0, played: true },
  G722: { rtpmap: 'G722/8000', clockRate: 8_000, staticType: 9, played: true },
  OPUS: { rtpmap: 'opus/48000/2', clockRate: 48_000, staticType: undefined, played: true },
  G729: { rtpmap: 'G729/8000', clockRate: 8_000, staticType: 18, played: false },
};

/** The codec of an rtpmap (`opus/48000/2`, in any case); undefined when it is none of ours. */
export function codecOfRtpmap(rtpmap: string): CodecName | undefined {
  const [name = '', rate = ''] = rtpmap.toUpperCase().split('/');
  if (!Object.hasOwn(formats, name)) return undefined;
  const codec = name as CodecName;
  return Number(rate) === formats[codec].clockRate ? codec : undefined;
}

export function isPlayed(codec: CodecName): codec is PlayedCodec {
  return formats[codec].played;
}

export function isG711(codec: CodecName): codec is G711 {
  return codec === 'PCMA' || codec === 'PCMU';
}

/** Whether packets of one can be handed to a far end that speaks the other: as they are, or through G.711's tables. */
export function passes(from: CodecName, to: CodecName): boolean {
  return from === to || (isG711(from) && isG711(to));
}
