/** Where recordings go. */
import { z } from 'zod';

export const store = z
  .strictObject({
    url: z
      .string()
      .regex(/^wss?:\/\//u, 'a ws:// or wss:// URL')
      .optional()
      .describe('a store on another host; left out: a child process of this one'),
    token: z.string().min(16).optional().describe('bearer token of the store link; required with url'),
    publicKeyFile: z.string().optional().describe("the store's public key, to which the spool is sealed"),
    spoolMegabytes: z
      .int()
      .min(1)
      .max(1_048_576)
      .default(1_024)
      .describe('bound of the spool while the store is away'),
  })
  .refine((store) => store.url === undefined || store.token !== undefined, {
    path: ['token'],
    error: 'a token of at least 16 characters is required with url',
  })
  .prefault({});
