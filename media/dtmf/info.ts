/** Keys in SIP INFO, the two forms that telephones and gateways send (no RFC; draft-kaplan-dispatch-info-dtmf-package). */
import type { Digit } from '../plane.ts';

const digits = '0123456789*#ABCD';

/**
 * The key that an INFO's body tells, or undefined: `application/dtmf-relay` (`Signal=5`, `Signal= 11` for #) or
 * `application/dtmf` (the key alone).
 */
export function keyInInfo(type: string | undefined, body: string | undefined): Digit | undefined {
  if (type === undefined || body === undefined) return undefined;
  switch (type.split(';', 1)[0]!.trim().toLowerCase()) {
    case 'application/dtmf':
      return digitOf(body);
    case 'application/dtmf-relay': {
      for (const line of body.split('\n')) {
        const equals = line.indexOf('=');
        if (equals > 0 && line.slice(0, equals).trim().toLowerCase() === 'signal') {
          return digitOf(line.slice(equals + 1));
        }
      }
      return undefined;
    }
    default:
      return undefined;
  }
}

/** A key by its sign, or by its event number where a sender writes 10 for star and 11 for hash (RFC 4733 table 3). */
function digitOf(written: string): Digit | undefined {
  const sign = written.trim().toUpperCase();
  const number = /^\d{2}$/u.test(sign) ? Number(sign) : undefined;
  const place = number ?? (sign.length === 1 ? digits.indexOf(sign) : -1);
  return place < 0 ? undefined : (digits[place] as Digit | undefined);
}
