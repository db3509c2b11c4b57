/**
 * The one source of truth of what may stand in a configuration: types, defaults, error messages and the reference page
 * (`config/README.md`) all come from here. Unknown keys are errors: a misspelt key must not be a silent default.
 */
import { z } from 'zod';
import { agents } from './schema/agents.ts';
import { consoleApi } from './schema/console.ts';
import { media } from './schema/media.ts';
import { group, peer } from './schema/peer.ts';
import { checkRoutes } from './schema/routes.ts';
import { routing } from './schema/routing.ts';
import { recogniser } from './schema/recogniser.ts';
import { redis } from './schema/redis.ts';
import { sip } from './schema/sip.ts';
import { store } from './schema/store.ts';
import { name, port, timeZone } from './schema/values.ts';

export * from './schema/campaign.ts';

export const configSchema = z
  .strictObject({
    site: name.default('tacet').describe('names this installation in the ledger and in metrics'),
    dataDir: z.string().default('./data').describe('journals, ledger, keys and the embedded store'),
    timeZone: timeZone
      .default('UTC')
      .describe('whose days and months the sample is counted by, where a campaign does not say'),
    campaigns: z.string().describe('path of the campaigns file, relative to this file'),
    sip,
    trunks: z.array(peer).min(1).describe('carriers or their SBCs: the outside'),
    pbxs: z.array(peer).min(1).describe('PBXs or ACDs: where the staff is'),
    groups: z
      .array(group)
      .default([])
      .describe('peers that stand in for each other; a route may name a group'),
    routing,
    media,
    recognisers: z
      .array(recogniser)
      .max(16)
      .default([])
      .describe(
        'speech servers for campaigns with `refusalVoice: recogniser`; one that fails is followed by the next that understands the language',
      ),
    redis: redis
      .optional()
      .describe('shared sampling counters; left out: counted in this process, journalled in dataDir'),
    store,
    law: z
      .strictObject({
        overrides: z
          .string()
          .optional()
          .describe(
            'path of a file in which counsel fills in, tightens and signs law packs, relative to this file',
          ),
        graceDays: z
          .int()
          .min(0)
          .max(365)
          .default(90)
          .describe('how long after its review date a law pack still carries new campaigns'),
        gates: z
          .enum(['warn', 'enforce'])
          .default('warn')
          .describe('what a missing reference of `mandate` does: a warning, or nothing is recorded'),
      })
      .prefault({}),
    agents,
    console: consoleApi
      .optional()
      .describe('the HTTP API for supervisors and the commands built on it; left out: none'),
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
  .superRefine(checkRoutes);

export type Config = z.infer<typeof configSchema>;
export type PeerConfig = Config['trunks'][number];
export type GroupConfig = Config['groups'][number];
