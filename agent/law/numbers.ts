/** Whose law a telephone number brings with it: country codes of ITU-T E.164, for the countries that packs cover. */
import { normaliseNumber } from '../../config/number.ts';

/** Country codes; a shared code whose parts differ is told apart below. */
const countryCodes: Readonly<Record<string, string>> = {
  '33': 'FR',
  '32': 'BE',
  '34': 'ES',
  '351': 'PT',
  '39': 'IT',
  '49': 'DE',
  '41': 'CH',
  '44': 'GB',
  '353': 'IE',
  '31': 'NL',
  '40': 'RO',
  '48': 'PL',
  '212': 'MA',
  '216': 'TN',
  '221': 'SN',
  '230': 'MU',
  '261': 'MG',
};

/** Vatican numbers under +39, and the Crown dependencies under +44: other countries, other laws. */
const carvedOut: readonly [prefix: string, place: string | undefined][] = [
  ['3906698', undefined],
  ['441481', 'GG'],
  ['447781', 'GG'],
  ['447839', 'GG'],
  ['447911', 'GG'],
  ['441534', 'JE'],
  ['447797', 'JE'],
  ['447937', 'JE'],
  ['441624', 'IM'],
  ['447624', 'IM'],
  ['447924', 'IM'],
];

/** Area codes of Canada within the North American plan (+1), CNAC's list. */
const canada = new Set(
  (
    '204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 387 403 416 418 428 431 437 438 450 460 468 474 ' +
    '506 514 519 537 548 568 579 581 584 587 600 604 613 622 633 639 644 647 655 672 677 683 688 705 709 742 753 ' +
    '778 780 782 807 819 825 867 873 879 902 905 942'
  ).split(' '),
);

/** Area codes of other countries within the North American plan. */
const caribbean = new Set(
  '242 246 264 268 284 345 441 473 649 658 664 721 758 767 784 809 829 849 868 869 876'.split(' '),
);

/**
 * The country of a number in international form. A national number belongs to `home`. `US` and `CA` say nothing of the
 * state or province: the strictest of their laws is taken (area codes do not tell where a mobile telephone is).
 *
 * @param home ISO 3166 place whose national numbers are written without a country code
 * @returns undefined when the number is withheld, is none, or is of a country that no table of ours has
 */
export function placeOfNumber(written: string, home: string): string | undefined {
  const number = normaliseNumber(written);
  if (!/^\+?\d{4,15}$/u.test(number)) return undefined;
  if (!number.startsWith('+')) return home;
  const digits = number.slice(1);
  if (digits.startsWith('1')) return northAmerican(digits.slice(1, 4), home);
  const carved = carvedOut.find(([prefix]) => digits.startsWith(prefix));
  if (carved !== undefined) return carved[1];
  for (let length = 3; length >= 1; length -= 1) {
    const country = countryCodes[digits.slice(0, length)];
    if (country !== undefined) return home.startsWith(`${country}-`) ? home : country;
  }
  return undefined;
}

/** A campaign that says its state or province answers for its callers too. */
function northAmerican(area: string, home: string): string | undefined {
  if (area.length < 3 || caribbean.has(area)) return undefined;
  const country = canada.has(area) ? 'CA' : 'US';
  return home.startsWith(`${country}-`) ? home : country;
}
