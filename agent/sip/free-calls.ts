/** Calls that pass untouched and unsampled, known from the INVITE alone: nothing is awaited before they go out. */
import {
  emergencyEverywhere,
  emergencyNumbers,
  type EmergencyCountry,
} from '../../config/emergency-numbers.ts';
import type { Config } from '../../config/schema.ts';

export type Freedom = 'emergency' | 'bypass';

/** Says for a call whether it must pass free, and why. */
export type FreeCalls = (call: {
  /** User part of the request-URI. */
  called: string;
  /** What kind of peer it comes from. */
  from: 'trunk' | 'pbx';
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
  return ({ called, from, header }) => {
    const number = undecorated(called);
    if (isEmergency(number)) return 'emergency';
    // A public-safety answering point that calls back must reach the caller (RFC 7090 section 5). It comes from outside: a
    // telephone of the site must not leave the sample, and its limits, by a header that anybody can write.
    if (from === 'trunk' && header('Priority')?.trim().toLowerCase() === 'psap-callback') return 'emergency';
    return isBypassed(number) ? 'bypass' : undefined;
  };
}

/**
 * The number that stands in for an emergency service called by its name (`urn:service:sos`, `urn:service:sos.fire`; RFC
 * 5031 section 4.2): trunks take numbers, and a service that is unknown is answered by the general one.
 *
 * @param countries of which the first says whether 911 is the number in place of 112
 * @returns undefined for every other URI
 */
export function sosNumber(uri: string, countries: readonly EmergencyCountry[]): string | undefined {
  if (!/^urn:service:sos(?:\.[a-z0-9.-]{1,64})?$/iu.test(uri)) return undefined;
  const numbers: readonly string[] = countries[0] === undefined ? [] : emergencyNumbers[countries[0]];
  return numbers.includes('911') && !numbers.includes('112') ? '911' : '112';
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
