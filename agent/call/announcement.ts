/** Play and listen: how the refusal window ends (I1, I2). */
import type { Campaign } from '../../config/schema.ts';
import type { MediaSide, Played } from '../../media/plane.ts';
import type { Prompt } from '../../media/prompts/prompt.ts';
import type { Refusal } from '../ledger/ledger.ts';
import type { Keypad } from './keys.ts';
import { after, firstOf, whenAborted } from './first-of.ts';

/**
 * Listens for the protected party's refusal keys from the first packet to the end of the call. The signal aborts once,
 * with a `Refusal` as reason; a refusal is never taken back.
 */
export function hearRefusal(keypad: Keypad, keys: Campaign['refusalKeys']): RefusalWatch {
  const heard = new AbortController();
  const listening = keypad.onDigit(({ digit, at }) => {
    if (keys.includes(digit) && !heard.signal.aborted) {
      heard.abort({ by: 'key', digit, at } satisfies Refusal);
    }
  });
  return {
    refused: heard.signal,
    traced: false,
    get refusal() {
      return heard.signal.aborted ? (heard.signal.reason as Refusal) : undefined;
    },
    [Symbol.dispose]: () => listening[Symbol.dispose](),
  };
}

export interface RefusalWatch extends Disposable {
  readonly refused: AbortSignal;
  readonly refusal: Refusal | undefined;
  /** Whether the ledger has it. */
  traced: boolean;
}

/** How the announcement went. Only `told` allows a recording. */
export type Announced =
  | { kind: 'told'; played: Played }
  | { kind: 'refused'; played: Played | undefined }
  | { kind: 'not-told'; played: Played }
  | { kind: 'ended' };

export interface Announcement {
  prompt: Prompt;
  /** Time to refuse after the prompt's end, milliseconds. */
  graceMs: number;
}

/** Plays the announcement and leaves its window open for the grace; a refusal or the end of the call cuts it short. */
export async function announce(
  side: MediaSide,
  { prompt, graceMs }: Announcement,
  watch: RefusalWatch,
  ended: AbortSignal,
): Promise<Announced> {
  const playing = await firstOf({
    played: (over) => side.play(prompt, over),
    refused: whenAborted(watch.refused),
    ended: whenAborted(ended),
  });
  if (ended.aborted) return { kind: 'ended' };
  if (playing.won === 'refused' || watch.refused.aborted) {
    return { kind: 'refused', played: playing.won === 'played' ? playing.value : undefined };
  }
  const played = playing.value as Played;
  if (!played.complete) return { kind: 'not-told', played };

  const grace = await firstOf({
    over: after(graceMs),
    refused: whenAborted(watch.refused),
    ended: whenAborted(ended),
  });
  if (ended.aborted) return { kind: 'ended' };
  if (grace.won === 'refused' || watch.refused.aborted) return { kind: 'refused', played };
  return { kind: 'told', played };
}
