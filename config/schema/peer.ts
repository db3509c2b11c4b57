/** Trunks and PBXs: who may speak to us, and where their calls go. */
import { z } from 'zod';
import { name, port } from './values.ts';

const sipUri = z.string().regex(/^sips?:[^\s]+$/u, 'a SIP URI, e.g. "sip:192.0.2.10:5060"');

export const peer = z.strictObject({
  name,
  sources: z
    .array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'an IP address or a CIDR block'))
    .min(1)
    .describe('addresses that this peer sends SIP from; a request from anywhere else is dropped silently'),
  ports: z
    .array(port)
    .optional()
    .describe('source ports, where one address hosts several peers (a test bench); left out: any'),
  uri: sipUri.describe('where calls to this peer are sent'),
  routes: z.array(name).default([]).describe('peers that calls from this one go to, tried in order'),
});
