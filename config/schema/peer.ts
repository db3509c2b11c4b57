/** Trunks and PBXs: who may speak to us, and where their calls go. */
import { z } from 'zod';
import { headerLists } from './headers.ts';
import { name, port } from './values.ts';

const sipUri = z.string().regex(/^sips?:[^\s]+$/u, 'a SIP URI, e.g. "sip:192.0.2.10:5060"');

const health = z
  .strictObject({
    intervalSeconds: z
      .int()
      .min(0)
      .max(3_600)
      .default(30)
      .describe('between two OPTIONS; 0 sends none: only calls then tell whether the peer is up'),
    timeoutMs: z.int().min(100).max(32_000).default(2_000).describe('how long an OPTIONS may go unanswered'),
    failures: z
      .int()
      .min(1)
      .max(10)
      .default(2)
      .describe('unanswered OPTIONS or INVITEs in a row until it is down; one good answer brings it back'),
  })
  .prefault({});

const auth = z
  .strictObject({
    username: z.string().min(1).describe('digest credentials that this peer asks us for'),
    password: z.string().min(1).optional().describe('or `passwordFile`'),
    passwordFile: z
      .string()
      .optional()
      .describe('path of a file with the password alone, relative to this file'),
    realm: z
      .string()
      .min(1)
      .optional()
      .describe(
        'the only realm that is answered; left out: the one that challenges the first INVITE of a call',
      ),
  })
  .refine(({ password, passwordFile }) => (password === undefined) !== (passwordFile === undefined), {
    path: ['password'],
    error: 'either password or passwordFile',
  });

export const peer = z.strictObject({
  name,
  sources: z
    .array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'an IP address or a CIDR block'))
    .min(1)
    .describe('addresses that this peer sends SIP from; a request from anywhere else is dropped silently'),
  ports: z
    .array(port)
    .optional()
    .describe(
      'source ports, where one address hosts several peers; left out: any. Over TCP and TLS a source port means little: the first peer of the address then counts',
    ),
  uri: sipUri.describe('where calls to this peer are sent'),
  listener: name
    .optional()
    .describe(
      'name among `sip.listen`: calls to this peer leave from there; left out: from whose network it is in',
    ),
  trusted: z
    .boolean()
    .default(true)
    .describe(
      'whether who calls may be told to it under `Privacy: id`, and is believed from it (RFC 3325: P-Asserted-Identity)',
    ),
  routes: z
    .array(name)
    .default([])
    .describe('peers and groups of peers that calls from this one go to, tried in order'),
  health,
  redirects: z
    .enum(['pass', 'follow'])
    .default('pass')
    .describe('a 3xx of this peer: handed to the caller, or followed where it names a configured peer'),
  srtp: z
    .enum(['off', 'accept', 'offer', 'require'])
    .default('accept')
    .describe(
      'SRTP with keys in SDP, where we carry the media: never; where this peer offers it; also of our own accord; or no media of ours without it',
    ),
  recordAware: z
    .boolean()
    .default(false)
    .describe(
      'of a PBX whose telephones show that a call is recorded: told by `a=record` in SDP (RFC 7866) when a recording begins, pauses and ends',
    ),
  auth: auth
    .optional()
    .describe('digest credentials (RFC 8760: SHA-512-256, SHA-256, MD5) for calls to this peer'),
  maxCalls: z
    .int()
    .min(1)
    .optional()
    .describe('calls with this peer at once, either way; more get 503, or the next peer of the route'),
  maxCallsPerSecond: z
    .number()
    .positive()
    .optional()
    .describe('new calls from this peer; the excess gets 503 with Retry-After'),
  headers: headerLists.describe('headers that are sent to this peer, before what `routing.headers` says'),
});

const member = z.strictObject({
  peer: name.describe('a trunk or PBX; all members of a group are of one kind'),
  priority: z.int().min(0).max(65_535).default(1).describe('lowest first (RFC 2782)'),
  weight: z.int().min(0).max(65_535).default(1).describe('share among members of the same priority'),
});

export const group = z.strictObject({
  name,
  members: z.array(member).min(1).describe('peers that stand in for each other'),
});
