/** Audio of our own in every codec that it may be sent in, encoded once. */
import type { PlayedCodec } from '../codec/formats.ts';
import { encodePcma, encodePcmu } from '../codec/g711.ts';
import { G722Encoder } from '../codec/g722.ts';
import { encodeOpus } from '../codec/opus.ts';
import { doubleWhole } from '../codec/resample.ts';

/** Frames of 20 ms one after the other, in shared memory, so that handing them to a media worker copies nothing. */
export interface Frames {
  bytes: SharedArrayBuffer;
  /** Where each frame begins and, last, where they end: unsigned 32 bit. */
  starts: SharedArrayBuffer;
}

export type Encoded = Record<PlayedCodec, Frames>;

const frameSamples = 160;

/** Encodes samples of 8 kHz, filled up with silence to whole frames: as many of them in every codec. */
export function encodeAll(samples: Int16Array): Encoded {
  const whole = new Int16Array(Math.ceil(samples.length / frameSamples) * frameSamples);
  whole.set(samples);
  return {
    PCMA: evenFrames(encodePcma(whole)),
    PCMU: evenFrames(encodePcmu(whole)),
    G722: evenFrames(new G722Encoder().encode(doubleWhole(whole))),
    OPUS: share(encodeOpus(whole, 8_000)),
  };
}

/** A byte stands for a sample of 8 kHz, in G.711 as in G.722. */
function evenFrames(bytes: Uint8Array): Frames {
  return share(
    Array.from({ length: bytes.length / frameSamples }, (_, at) =>
      bytes.subarray(at * frameSamples, (at + 1) * frameSamples),
    ),
  );
}

function share(frames: readonly Uint8Array[]): Frames {
  const bytes = new Uint8Array(new SharedArrayBuffer(frames.reduce((sum, { length }) => sum + length, 0)));
  const starts = new Uint32Array(new SharedArrayBuffer((frames.length + 1) * 4));
  for (const [at, frame] of frames.entries()) {
    bytes.set(frame, starts[at]);
    starts[at + 1] = starts[at]! + frame.length;
  }
  return { bytes: bytes.buffer, starts: starts.buffer };
}
