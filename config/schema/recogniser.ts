/** Speech servers of the site. */
import { z } from 'zod';
import { language } from './values.ts';

export const recogniser = z.strictObject({
  url: z
    .string()
    .regex(/^wss?:\/\/\S+$/u, 'ws:// or wss://')
    .describe('a server that speaks the protocol of Vosk\'s WebSocket server, e.g. "ws://127.0.0.1:2700"'),
  languages: z.array(language).min(1).describe('what its model understands'),
});
