/** Words that several commands take. */
import { parseArgs } from 'node:util';
import { TacetError } from '../../config/errors.ts';
import { nearest } from '../../config/nearest.ts';
import type { Campaign } from '../../config/schema.ts';

export const defaultConfigPath = 'tacet.yaml';

/** Where the configuration is: `--config FILE`, or TACET_CONFIG, or `tacet.yaml` in the folder one stands in. */
export function configPath(given: string | undefined): string {
  return given ?? process.env['TACET_CONFIG'] ?? defaultConfigPath;
}

export function onlyConfig(words: string[]): string {
  const { values } = parseArgs({ args: words, options: { config: { type: 'string' } } });
  return configPath(values.config);
}

/** A command names a campaign that the campaigns file does not have. */
class CampaignUnknown extends TacetError {
  readonly campaign: string;
  constructor(campaign: string, known: readonly string[]) {
    const likely = nearest(campaign, known);
    super(
      `there is no campaign "${campaign}"; ` +
        (likely === undefined ? `known: ${known.join(', ')}` : `did you mean "${likely}"?`),
    );
    this.campaign = campaign;
  }
}

/** @throws CampaignUnknown */
export function campaignNamed(name: string, campaigns: readonly Campaign[]): Campaign {
  const found = campaigns.find((campaign) => campaign.name === name);
  if (found !== undefined) return found;
  throw new CampaignUnknown(
    name,
    campaigns.map((campaign) => campaign.name),
  );
}
