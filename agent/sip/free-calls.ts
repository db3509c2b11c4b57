/** Calls that pass untouched and unsampled, known from the INVITE alone: nothing is awaited before they go out. */
import { emergencyEverywhere, emergencyNumbers } from '../../config/emergency-numbers.ts';
import type { Config } from '../../config/schema.ts';

export type Freedom = 'emergency' | 'bypass';

/** Says for a call whether it must pass free, and why. */
export type FreeCalls = (call: {
  /** User part of the request-URI. */
  called: string;
  header: (name: string) => string | undefined;
}) => Freedom | undefined;

export function freeCalls({ emergency, bypass }: Config['routing']): FreeCalls {
  const numbers = [
    ...emergencyEverywhere,
    ...emergency.countries.flatMap((country) => emergencyNumbers[country]),
    ...emergency.numbers,
  ];
  const isEmergency = matcher(numbers);
  const isBypassed = matcher(bypass);
  return ({ called, header }) => {
    const number = undecorated(called);
    if (isEmergency(number)) return 'emergency';
    // A public-safety answering point that calls back must reach the caller (RFC 7090 section 5).
    if (header('Priority')?.trim().toLowerCase() === 'psap-callback') return 'emergency';
    return isBypassed(number) ? 'bypass' : undefined;
  };
}

function matcher(patterns: readonly string[]): (number: string) => boolean {
  const exact = new Set(patterns.filter((each) => !each.endsWith('*')).map(undecorated));
  const prefixes = patterns
    .filter((each) => each.endsWith('*'))
    .map((each) => undecorated(each.slice(0, -1)));
  return (number) => exact.has(number) || prefixes.some((prefix) => number.startsWith(prefix));
}

/** RFC 3966 section 5.1.1: visual separators mean nothing. */
function undecorated(number: string): string {
  return number.replaceAll(/[-. ()/]/gu, '');
}
