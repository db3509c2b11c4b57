/**
 * The one source of truth of what may stand in a configuration: types, defaults, error messages and the reference page
 * (`config/README.md`) all come from here. Unknown keys are errors: a misspelt key must not be a silent default.
 */
import { z } from 'zod';

const port = z.int().min(0).max(65535);
const listen = z.strictObject({
  transport: z.enum(['udp']).default('udp'),
  address: z.string().default('127.0.0.1').describe('local address to bind'),
  port: port.default(5060).describe('0 takes any free port'),
});

const name = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,62}$/u,
    'lower-case letters, digits and dashes, 63 at most, e.g. "support-fr"',
  );

const sipUri = z.string().regex(/^sips?:[^\s]+$/u, 'a SIP URI, e.g. "sip:192.0.2.10:5060"');

const peer = z.strictObject({
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

/** `+33123456789`, or a prefix with a trailing `*`. */
const numberPattern = z
  .string()
  .regex(
    /^\+?[0-9*#A-Za-z._()/ -]*\*?$/u,
    'a number, or the beginning of one with a trailing "*", e.g. "+331*"',
  );

export const consentMode = z.enum(['notice', 'object', 'consent']);
export type ConsentMode = z.infer<typeof consentMode>;

export const digit = z.enum(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D']);

export const recordingClass = z.enum(['quality', 'training', 'complaint', 'contract-proof']);
export type RecordingClass = z.infer<typeof recordingClass>;

export const campaignSchema = z.strictObject({
  name,
  direction: z.enum(['inbound', 'outbound']).describe('inbound: from a trunk; outbound: from a PBX'),
  match: z
    .strictObject({
      called: z.array(numberPattern).min(1).optional().describe('called numbers or prefixes'),
      caller: z.array(numberPattern).min(1).optional().describe('caller numbers or prefixes'),
      header: z
        .strictObject({ name: z.string().min(1), value: z.string().min(1) })
        .optional()
        .describe('a SIP header whose value is exactly this'),
      trunk: name.optional().describe('the peer that the call came from'),
    })
    .refine((match) => Object.values(match).some((part) => part !== undefined), {
      error: 'at least one of called, caller, header, trunk; all that are given must match',
    })
    .describe('which calls belong to it: all that is given must match; the most specific campaign wins'),
  rate: z
    .number()
    .min(0)
    .max(1)
    .default(0.3)
    .describe('ceiling of the recorded share of eligible conversations'),
  purpose: z
    .enum(['reception-evaluation', 'weakpoint-analysis', 'complaint', 'training'])
    .describe('what the recordings are for; exactly one (GDPR Art. 5(1)(b))'),
  class: recordingClass.default('quality').describe('which retention rules of the law packs apply'),
  legalBasis: z
    .enum(['legitimate-interest', 'consent', 'contract', 'legal-obligation'])
    .default('legitimate-interest')
    .describe('GDPR Art. 6(1)'),
  controller: z.string().min(1).describe('the company that the calls are recorded for (GDPR Art. 4(7))'),
  market: z
    .string()
    .regex(/^[A-Z]{2}$/u, 'an ISO 3166 country code, e.g. "FR"')
    .default('FR')
    .describe('whose consumers are called or call: their law applies'),
  agentsSite: z
    .string()
    .regex(/^[A-Z]{2}$/u, 'an ISO 3166 country code, e.g. "FR"')
    .default('FR')
    .describe('where the staff works: their law applies too'),
  retentionDays: z.int().min(1).max(1827).default(183).describe('shortened to what the law packs allow'),
  announcement: z
    .strictObject({
      prompt: z
        .string()
        .default('fr-object')
        .describe('a prompt of config/prompts or a path to a WAV file (8 kHz mono)'),
      graceMs: z
        .int()
        .min(0)
        .max(10_000)
        .default(1_000)
        .describe('time to refuse after the prompt has ended'),
    })
    .prefault({}),
  refusalKeys: z
    .array(digit)
    .min(1)
    .default(['2'])
    .describe('keys by which the outside party refuses, until the call ends'),
});

export type Campaign = z.infer<typeof campaignSchema>;

export const campaignsFileSchema = z
  .strictObject({ campaigns: z.array(campaignSchema).describe('what is recorded, and under which rules') })
  .superRefine(({ campaigns }, context) => {
    const seen = new Set<string>();
    for (const [index, campaign] of campaigns.entries()) {
      if (seen.has(campaign.name)) {
        context.addIssue({
          code: 'custom',
          path: ['campaigns', index, 'name'],
          message: `the name "${campaign.name}" is taken by another campaign`,
          input: campaign.name,
        });
      }
      seen.add(campaign.name);
    }
  });

export const configSchema = z
  .strictObject({
    site: name.default('tacet').describe('names this installation in the ledger and in metrics'),
    dataDir: z.string().default('./data').describe('journals, ledger, keys and the embedded store'),
    campaigns: z.string().describe('path of the campaigns file, relative to this file'),
    sip: z
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
        maxCallMinutes: z.int().min(1).max(1_440).default(240).describe('a longer call is ended'),
      })
      .prefault({}),
    trunks: z.array(peer).min(1).describe('carriers or their SBCs: the outside'),
    pbxs: z.array(peer).min(1).describe('PBXs or ACDs: where the staff is'),
    media: z
      .strictObject({
        address: z.string().default('127.0.0.1').describe('local address of RTP sockets, and what SDP says'),
        advertise: z.string().optional().describe('address in SDP where it differs (static NAT)'),
        ports: z
          .strictObject({ min: z.int().min(1024).max(65534), max: z.int().min(1025).max(65535) })
          .refine(({ min, max }) => min < max, { error: 'min below max' })
          .default({ min: 20_000, max: 29_999 })
          .describe('UDP ports of RTP sockets, two for each recorded call'),
        workers: z.int().min(1).max(64).default(1).describe('threads that carry media'),
      })
      .prefault({}),
    redis: z
      .strictObject({
        url: z.string().regex(/^rediss?:\/\//u, 'a redis:// or rediss:// URL'),
        timeoutMs: z
          .int()
          .min(1)
          .max(1_000)
          .default(20)
          .describe('budget of one reservation; then: not selected'),
      })
      .optional()
      .describe('shared sampling counters; left out: counted in this process, journalled in dataDir'),
    store: z
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
      .prefault({}),
    http: z
      .strictObject({ address: z.string().default('127.0.0.1'), port: port.default(9464) })
      .prefault({})
      .describe('/metrics, /healthz, /readyz'),
    drainSeconds: z
      .int()
      .min(0)
      .max(86_400)
      .default(300)
      .describe('how long running calls may go on after SIGTERM'),
    logLevel: z
      .enum(['debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .describe('lines below this level are not written'),
  })
  .superRefine((config, context) => {
    const names = new Set<string>();
    for (const kind of ['trunks', 'pbxs'] as const) {
      for (const [index, entry] of config[kind].entries()) {
        if (names.has(entry.name)) {
          context.addIssue({
            code: 'custom',
            path: [kind, index, 'name'],
            message: `the name "${entry.name}" is taken by another peer`,
            input: entry.name,
          });
        }
        names.add(entry.name);
      }
    }
    for (const [kind, other] of [
      ['trunks', 'pbxs'],
      ['pbxs', 'trunks'],
    ] as const) {
      for (const [index, entry] of config[kind].entries()) {
        for (const [at, route] of entry.routes.entries()) {
          if (!config[other].some((target) => target.name === route)) {
            const known = config[other].map((target) => target.name).join(', ');
            context.addIssue({
              code: 'custom',
              path: [kind, index, 'routes', at],
              message: `no such peer among ${other}; known: ${known}`,
              input: route,
            });
          }
        }
      }
    }
  });

export type Config = z.infer<typeof configSchema>;
export type PeerConfig = Config['trunks'][number];
