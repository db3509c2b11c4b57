/** Values that several parts of a configuration are made of. */
import { z } from 'zod';

export const port = z.int().min(0).max(65535);

export const name = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,62}$/u,
    'lower-case letters, digits and dashes, 63 at most, e.g. "support-fr"',
  );

/** `+33123456789`, or a prefix with a trailing `*`. */
export const numberPattern = z
  .string()
  .regex(
    /^\+?[0-9*#A-Za-z._()/ -]*\*?$/u,
    'a number, or the beginning of one with a trailing "*", e.g. "+331*"',
  );

/** A place whose law counts: ISO 3166-1, or ISO 3166-2 where a state or province has laws of its own. */
export const place = z
  .string()
  .regex(
    /^(?!UK)[A-Z]{2}(?:-[A-Z]{2})?$/u,
    'an ISO 3166 code, e.g. "FR", "GB", or "US-TX" for a state that is known',
  );

export const timeZone = z.string().refine(isTimeZone, { error: 'an IANA time zone, e.g. "Europe/Paris"' });

function isTimeZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

export const isoDate = z
  .string()
  .regex(/^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/u, 'a date, e.g. "2026-11-23"');

/** Languages that refusals are understood in, and that prompts ship in. */
export const languages = ['fr', 'en', 'es', 'ar'] as const;
export const language = z.enum(languages);
export type Language = z.infer<typeof language>;
