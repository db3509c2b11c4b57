/** Which packets of one side may be handed to the other, under which payload type, and what must be done to them (pure). */
import { isG711, type CodecName } from '../codec/formats.ts';
import type { SideTerms } from './messages.ts';

/** A payload type's way through the relay, in one number, so that it is looked up and not decided for each packet. */
export type Route = number;

/** Nobody agreed to it: dropped, and counted. */
export const unknownRoute: Route = -1;
/** Known, but the other side did not agree to it: dropped. */
export const unwantedRoute: Route = -2;

const typeMask = 0x7f;
export const eventRoute = 0x100;
export const toPcma = 0x200;
export const toPcmu = 0x400;
/** Durations of keys count six times as fast, or as slow, on the other side: Opus has a clock of 48 kHz (RFC 7587). */
export const sixfold = 0x800;
export const sixth = 0x1000;

/** Comfort noise, RFC 3389: the number that needs no rtpmap. */
const comfortNoise = 13;
const staticG711: Record<number, CodecName> = { 0: 'PCMU', 8: 'PCMA' };

/** The routes of all 128 payload types, from a side that agreed to `from` to one that agreed to `to`. */
export function routesBetween(from: SideTerms | undefined, to: SideTerms | undefined): Int16Array {
  const routes = new Int16Array(128).fill(unknownRoute);
  if (from === undefined || to === undefined) return routes;
  for (let type = 0; type < routes.length; type++) routes[type] = routeOf(type, from, to);
  return routes;
}

function routeOf(type: number, from: SideTerms, to: SideTerms): Route {
  if (type === from.eventType || type === from.receivedEventType) {
    if (to.eventType === undefined) return unwantedRoute;
    const scale =
      to.eventClockRate > from.eventClockRate ? sixfold : to.eventClockRate < from.eventClockRate ? sixth : 0;
    return to.eventType | eventRoute | scale;
  }
  // A far end may answer with both G.711 codecs and send either (RFC 3264 section 6.1).
  const codec = type === from.audioType || type === from.receivedAudioType ? from.codec : staticG711[type];
  if (codec !== undefined) {
    if (codec === to.codec) return to.audioType;
    if (!isG711(codec) || !isG711(to.codec)) return unwantedRoute;
    return to.audioType | (to.codec === 'PCMA' ? toPcma : toPcmu);
  }
  if (type === comfortNoise || type === from.comfortNoiseType) return to.comfortNoiseType ?? comfortNoise;
  return unknownRoute;
}

export function payloadTypeOf(route: Route): number {
  return route & typeMask;
}
