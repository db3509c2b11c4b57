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
