/** Keys as telephone-events (RFC 4733 section 2). */
import type { Digit } from '../plane.ts';

const digits: readonly Digit[] = [
  '0',
  '1',
  '2',
  '3',
  '4',
  '5',
  '6',
  '7',
  '8',
  '9',
  '*',
  '#',
  'A',
  'B',
  'C',
  'D',
];
/** A long press is cut into segments of at most 0xffff ticks, each with the timestamp at which it begins (section 2.5.1.3). */
const longestSegment = 0xffff;

/**
 * Hears each key once, at the first of its packets that arrives: later ones, repeated ends and stragglers of an earlier
 * key carry a timestamp that was heard.
 */
export class TelephoneEventReceiver {
  #timestamp = -1;
  #event = -1;
  #duration = 0;

  /** The key that this packet begins, or undefined: no key, or one that was heard. */
  receive(packet: Uint8Array, offset: number, length: number, timestamp: number): Digit | undefined {
    if (length < 4) return undefined;
    const event = packet[offset]!;
    const digit = digits[event];
    if (digit === undefined) return undefined;
    const duration = (packet[offset + 2]! << 8) | packet[offset + 3]!;
    if (this.#timestamp !== -1) {
      const later = (timestamp - this.#timestamp) >>> 0;
      if (later === 0 || later >= 2 ** 31) {
        if (later === 0) this.#duration = Math.max(this.#duration, duration);
        return undefined;
      }
      const continues =
        event === this.#event && this.#duration === longestSegment && later === longestSegment;
      this.#begin(timestamp, event, duration);
      return continues ? undefined : digit;
    }
    this.#begin(timestamp, event, duration);
    return digit;
  }

  #begin(timestamp: number, event: number, duration: number): void {
    this.#timestamp = timestamp;
    this.#event = event;
    this.#duration = duration;
  }
}
