/** Which headers cross from one leg to the other. */
import { z } from 'zod';

/** Headers that belong to one leg alone: they are never handed on, whatever a configuration says. */
export const hopHeaders: ReadonlySet<string> = new Set([
  'via',
  'from',
  'to',
  'call-id',
  'cseq',
  'contact',
  'max-forwards',
  'route',
  'record-route',
  'path',
  'service-route',
  'content-length',
  'content-type',
  'authorization',
  'proxy-authorization',
  'www-authenticate',
  'proxy-authenticate',
  'authentication-info',
  'proxy-authentication-info',
  'require',
  'proxy-require',
  'supported',
  'unsupported',
  'allow',
  'rseq',
  'rack',
  'session-expires',
  'min-se',
  'replaces',
]);

const headerName = z
  .string()
  .regex(
    /^[A-Za-z0-9.!%_+`'~-]+\*?$/u,
    'a header name, or the beginning of one with a trailing "*", e.g. "X-*"',
  );

export const headerLists = z
  .strictObject({
    pass: z
      .array(
        headerName.refine((name) => !hopHeaders.has(name.toLowerCase()), {
          error:
            'a header that is handed on: not one that belongs to one leg alone (Via, Contact, Require, ...)',
        }),
      )
      .default([])
      .describe('handed on besides those that always are (identity, billing, X-*: see "Headers")'),
    drop: z
      .array(headerName)
      .default([])
      .describe('not handed on; X-Tacet-Call and Session-ID may stand here too'),
  })
  .prefault({});
