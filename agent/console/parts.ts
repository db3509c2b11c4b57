/** What the console shows and gives orders to. */
import type { CallRegistry } from '../call/registry.ts';
import type { LiveCampaigns } from '../campaigns/live.ts';
import type { LawBook } from '../law/load.ts';
import type { Sampler } from '../sampling/sampler.ts';

export interface ConsoleParts {
  live: LiveCampaigns;
  calls: CallRegistry;
  sampler: Pick<Sampler, 'counts'>;
  law: LawBook;
  clock: () => Date;
}
