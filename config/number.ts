/**
 * A telephone number in the one form in which numbers are compared and hashed: the user part of a `sip:` or `tel:` URI,
 * visual separators (RFC 3966 section 5.1.1) and parameters removed, a leading `00` turned into `+`.
 * Users that are not numbers (`reception`) are lower-cased. Keys `*` and `#` stay: they are dialled.
 */
export function normaliseNumber(written: string): string {
  const withoutScheme = written.trim().replace(/^(?:sips?|tel):/iu, '');
  const user = withoutScheme.split(/[@;?]/u, 1)[0] ?? '';
  if (!/^\+?[0-9*#\s().\-/]+$/u.test(user)) return user.toLowerCase();
  return user.replace(/[\s().\-/]/gu, '').replace(/^00(?=[1-9])/u, '+');
}
