/** Which codec a side speaks, and which we offer it: what the other side speaks too, in the order in which it was offered. */
import { codecOfRtpmap, formats, isG711, isPlayed, passes, type CodecName } from '../codec/formats.ts';
import type { G711 } from '../codec/g711.ts';
import type { Codec } from './audio.ts';

/** A codec as a description numbers it. */
export interface NumberedCodec {
  name: CodecName;
  payloadType: number;
  /** Format parameters as the far end wrote them. */
  fmtp: string | undefined;
}

/** The codecs of a description that may go through us, in its order. */
export function ourCodecs(codecs: readonly Codec[]): NumberedCodec[] {
  return codecs.flatMap(({ name, clockRate, payloadType, fmtp }) => {
    const known = codecOfRtpmap(`${name}/${clockRate}`);
    return known === undefined ? [] : [{ name: known, payloadType, fmtp }];
  });
}

/** What both sides of a session speak so far. */
export interface Spoken {
  own: CodecName | undefined;
  other: CodecName | undefined;
}

/**
 * The codec to agree on out of an offer or an answer. What passes to the other side comes first, then what this side
 * speaks already, then what a prompt can be played in. Undefined: nothing of ours; also when the call is new and could
 * not be told in any.
 */
export function chooseCodec(
  offered: readonly NumberedCodec[],
  { own, other }: Spoken,
): NumberedCodec | undefined {
  const find = (is: (name: CodecName) => boolean): NumberedCodec | undefined =>
    offered.find(({ name }) => is(name));
  const established = find((name) => name === own);
  if (other !== undefined) {
    if (established !== undefined && passes(established.name, other)) return established;
    const passing = find((name) => name === other) ?? find((name) => passes(name, other));
    if (passing !== undefined) return passing;
  }
  return established ?? find(isPlayed) ?? (own === undefined ? undefined : offered[0]);
}

const g711: readonly G711[] = ['PCMA', 'PCMU'];

/**
 * What to offer a side, best first: what the other side offered or speaks, G.711 in both its laws where it is in either.
 * A side whose codec does not pass is offered only what does.
 *
 * @param others the codecs of the other side's last description; empty before it gave one
 */
export function codecsToOffer(others: readonly NumberedCodec[], { own, other }: Spoken): NumberedCodec[] {
  const names = [...(other === undefined ? [] : [other]), ...others.map(({ name }) => name)];
  if (names.length === 0) names.push(...(own === undefined ? [] : [own]), ...g711);
  if (names.some(isG711)) names.push(...g711);
  const stuck = own !== undefined && other !== undefined && !passes(own, other);
  return [...new Set(names)]
    .filter((name) => !stuck || passes(name, other))
    .map((name) => {
      const theirs = others.find((codec) => codec.name === name);
      return { name, payloadType: theirs?.payloadType ?? formats[name].staticType ?? 0, fmtp: theirs?.fmtp };
    });
}
