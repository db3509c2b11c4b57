/** What a call may use: the parts that the composition root puts together. */
import type { Logger } from 'pino';
import type { EpochMicros } from '../../config/units.ts';
import type { Config } from '../../config/schema.ts';
import type { RecordingSink } from '../../media/fork/sink.ts';
import type { MediaPlane } from '../../media/plane.ts';
import type { Voices } from '../../media/voice/voices.ts';
import type { Campaigns } from '../campaigns/campaigns.ts';
import type { LiveCampaigns } from '../campaigns/live.ts';
import type { CallRegistry } from './registry.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Sampler } from '../sampling/sampler.ts';
import type { Edge } from '../sip/edge.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { RuleOf } from './rules.ts';

export type { CampaignRule } from './rules.ts';

export interface House {
  config: Config;
  campaigns: Campaigns;
  /** What was changed since the campaigns file was read: asked for each call. */
  live: LiveCampaigns;
  ruleFor: RuleOf;
  sampler: Sampler;
  ledger: Ledger;
  sink: RecordingSink;
  media: MediaPlane;
  /** Who hears voices; undefined where no campaign asks for it. */
  voices: Voices | undefined;
  edge: Edge;
  metrics: Metrics;
  log: Logger;
  now: () => EpochMicros;
  /** Keyed hash of a number: what ledger and store know a person by. */
  pseudonym: (number: string) => string;
  /** Aborted when running calls must end (drain limit reached). */
  shutdown: AbortSignal;
  /** The calls in progress, and orders about them. */
  calls: CallRegistry;
}
