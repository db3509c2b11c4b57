/** The SIP side: listeners, the external server, how long things may take. */
import { z } from 'zod';
import { port } from './values.ts';

const listen = z.strictObject({
  transport: z.enum(['udp']).default('udp'),
  address: z.string().default('127.0.0.1').describe('local address to bind'),
  port: port.default(5060).describe('0 takes any free port'),
});

export const sip = z
  .strictObject({
    listen: z
      .array(listen)
      .min(1)
      .default([{ transport: 'udp', address: '127.0.0.1', port: 5060 }]),
    drachtio: z
      .strictObject({ host: z.string(), port: port.default(9022), secret: z.string() })
      .optional()
      .describe('an external drachtio-server instead of the embedded SIP server'),
    ringingTone: z
      .enum(['FR', 'UK', 'US', 'DE', 'ES'])
      .default('FR')
      .describe('tone plan of what the caller hears'),
    answerTimeoutSeconds: z.int().min(1).max(600).default(90).describe('how long a peer may ring'),
    sessionExpiresSeconds: z
      .int()
      .min(90)
      .max(86_400)
      .default(1_800)
      .describe('how often each leg is asked whether its peer is still there (RFC 4028)'),
    mediaTimeoutSeconds: z
      .int()
      .min(2)
      .max(3_600)
      .default(60)
      .describe(
        'after this long without audio from either side of a recorded call, not on hold, peers that no longer answer end it',
      ),
    maxCallMinutes: z.int().min(1).max(1_440).default(240).describe('a longer call is ended'),
  })
  .prefault({});
