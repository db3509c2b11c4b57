/** The direction of a stream as two questions, so that holds of both sides combine (RFC 3264 sections 5.1, 6.1 and 8.4). */
import type { Direction } from '../plane.ts';

export function sends(direction: Direction): boolean {
  return direction === 'sendrecv' || direction === 'sendonly';
}

export function receives(direction: Direction): boolean {
  return direction === 'sendrecv' || direction === 'recvonly';
}

export function directionOf(sending: boolean, receiving: boolean): Direction {
  if (sending) return receiving ? 'sendrecv' : 'sendonly';
  return receiving ? 'recvonly' : 'inactive';
}

/** What the other side of a direction sees (RFC 3264 section 6.1). */
export function mirror(direction: Direction): Direction {
  return directionOf(receives(direction), sends(direction));
}

/**
 * Our answer to a far end that offered `offered` while the party behind us is at `behind`: we send what the one behind
 * sends and the offerer hears, and the other way round. Never more than the offer allows, whatever the one behind says.
 */
export function answerDirection(offered: Direction, behind: Direction): Direction {
  return directionOf(receives(offered) && sends(behind), sends(offered) && receives(behind));
}
