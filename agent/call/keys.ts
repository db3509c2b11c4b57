/** Keys of one party, by whatever means they come: RTP (RFC 4733) or SIP INFO. A key that comes by both is one key. */
import type { EpochMicros } from '../../config/units.ts';
import type { MediaSide, PressedDigit } from '../../media/plane.ts';
import type { Leg } from '../sip/leg.ts';

/** Whoever tells keys as they are pressed. */
export type Keypad = Pick<MediaSide, 'onDigit'>;

/** The same key by another means within this time is the same press; gateways send both within a few tens of milliseconds. */
const samePressMicros = 200_000;

/**
 * Joins what the media plane hears of a party with what its leg tells by INFO. Keys that the media plane heard before are
 * handed over at once, as `MediaSide.onDigit` does.
 */
export function keypadOf(side: Keypad | undefined, leg: Pick<Leg, 'onKey'>, now: () => EpochMicros): Keypad {
  return {
    onDigit(listener) {
      const heard: { key: PressedDigit; means: 'rtp' | 'info' }[] = [];
      const hear = (key: PressedDigit, means: 'rtp' | 'info'): void => {
        while (heard.length > 0 && key.at - heard[0]!.key.at > samePressMicros) heard.shift();
        const twin = heard.findIndex((each) => each.means !== means && each.key.digit === key.digit);
        if (twin >= 0) {
          heard.splice(twin, 1);
          return;
        }
        heard.push({ key, means });
        listener(key);
      };
      const byRtp = side?.onDigit((key) => hear(key, 'rtp'));
      const byInfo = leg.onKey((digit) => hear({ digit, at: now() }, 'info'));
      return {
        [Symbol.dispose]() {
          byRtp?.[Symbol.dispose]();
          byInfo[Symbol.dispose]();
        },
      };
    },
  };
}

/**
 * Calls back when the last keys pressed are `code`, with at most `withinMs` between two of them: how an agent says
 * something to Tacet from a telephone that has nothing but keys.
 */
export function onCode(keypad: Keypad, code: string, listener: () => void, withinMs = 3_000): Disposable {
  let entered = '';
  let last = 0;
  return keypad.onDigit(({ digit, at }) => {
    entered = at - last > withinMs * 1_000 ? digit : (entered + digit).slice(-code.length);
    last = at;
    if (entered !== code) return;
    entered = '';
    listener();
  });
}
