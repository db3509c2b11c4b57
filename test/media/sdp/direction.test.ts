import fc from 'fast-check';
import { expect, test } from 'vitest';
import { answerDirection, mirror, receives, sends } from '../../../media/sdp/direction.ts';
import type { Direction } from '../../../media/plane.ts';

const direction = fc.constantFrom<Direction>('sendrecv', 'sendonly', 'recvonly', 'inactive');

test.each<[Direction, Direction]>([
  ['sendrecv', 'sendrecv'],
  ['sendonly', 'recvonly'],
  ['recvonly', 'sendonly'],
  ['inactive', 'inactive'],
])('the other side of %s is %s', (one, other) => {
  expect(mirror(one)).toBe(other);
});

test.each<[offered: Direction, behind: Direction, answer: Direction]>([
  ['sendrecv', 'sendrecv', 'sendrecv'],
  ['sendonly', 'recvonly', 'recvonly'],
  // Both hold: whoever resumes first still hears nobody.
  ['sendrecv', 'sendonly', 'sendonly'],
  ['sendrecv', 'inactive', 'inactive'],
  ['sendonly', 'sendonly', 'inactive'],
  // A telephone that answers a hold with sendrecv.
  ['sendonly', 'sendrecv', 'recvonly'],
  ['recvonly', 'sendrecv', 'sendonly'],
  ['inactive', 'sendrecv', 'inactive'],
])('an offer of %s, with %s behind us, is answered %s', (offered, behind, answer) => {
  expect(answerDirection(offered, behind)).toBe(answer);
});

test('for any two directions: an answer never says more than the offer allows, nor than the party behind does', () => {
  fc.assert(
    fc.property(direction, direction, (offered, behind) => {
      const answer = answerDirection(offered, behind);
      if (sends(answer)) expect(receives(offered) && sends(behind)).toBe(true);
      if (receives(answer)) expect(sends(offered) && receives(behind)).toBe(true);
    }),
  );
});

test('for any order of holds and resumes by two parties: they hear each other exactly when neither holds', () => {
  const step = fc.record({ who: fc.constantFrom<0 | 1>(0, 1), holds: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const holding = [false, false];
      const wants = (who: 0 | 1): Direction => (holding[who] ? 'sendonly' : 'sendrecv');
      let last: [Direction, Direction] = ['sendrecv', 'sendrecv'];
      for (const { who, holds } of steps) {
        holding[who] = holds;
        const other = who === 0 ? 1 : 0;
        const offered = wants(who);
        // The telephone that is asked answers within the offer and with its own hold in mind (RFC 3264 section 6.1).
        const answered = answerDirection(offered, wants(other));
        const told = answerDirection(offered, answered);
        last = who === 0 ? [offered, told] : [told, offered];
      }
      const talking = !holding[0] && !holding[1];
      expect(receives(last[0]) && sends(last[0]) && receives(last[1]) && sends(last[1])).toBe(
        steps.length === 0 ? true : talking,
      );
    }),
  );
});
