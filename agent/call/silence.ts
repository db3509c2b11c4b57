/** Whether a call's media has fallen silent: a peer that died without a BYE is found by what it no longer sends. */
import type { EpochMicros } from '../../config/units.ts';
import type { MediaSession } from '../../media/plane.ts';
import type { Leg } from '../sip/leg.ts';
import { after } from './first-of.ts';
import type { Pair } from './legs.ts';

const sides = ['caller', 'agent'] as const;

/** One party has not been heard for the whole time, or neither is and one of their far ends no longer answers. */
export type Silence = 'one-way' | 'dead';

export interface SilenceWatch {
  media: MediaSession;
  pair: Pair;
  timeoutMs: number;
  now: () => EpochMicros;
}

/**
 * A racer that looks at who is heard, four times in the time that it takes to call a party silent. When nobody is, both far
 * ends are asked within their dialogs whether they are there. Time before the watch began does not count, nor does a hold: a
 * party on hold may well send nothing, and its session timer watches over it.
 */
export function watchSilence({
  media,
  pair,
  timeoutMs,
  now,
}: SilenceWatch): (over: AbortSignal) => Promise<Silence | undefined> {
  let since = now();
  let toldOneWay = false;
  return async (over) => {
    while (!over.aborted) {
      await after(timeoutMs / 4)(over);
      if (sides.some((side) => media[side].remoteDirection !== 'sendrecv')) since = now();
      const statistics = await media.statistics();
      const silent = sides.filter((side) => {
        const last = Math.max(statistics[side].lastPacketAt ?? 0, since);
        return now() - last > timeoutMs * 1_000;
      });
      if (silent.length === 2 && !(await areAlive(pair)) && !over.aborted) return 'dead';
      if (silent.length === 1 && !toldOneWay && !over.aborted) {
        toldOneWay = true;
        return 'one-way';
      }
    }
    return undefined;
  };
}

async function areAlive({ legs }: Pair): Promise<boolean> {
  const answers = await Promise.all(sides.map((side) => isAlive(legs[side])));
  return answers.every(Boolean);
}

/** Any answer but "no such call" (481), "nobody there" (408) or a lost way (503) is a sign of life (RFC 3261 section 12.2.1.2). */
async function isAlive(leg: Pick<Leg, 'request'>): Promise<boolean> {
  const { status } = await leg.request({ method: 'OPTIONS', headers: {}, body: undefined });
  return status !== 481 && status !== 408 && status !== 503;
}
