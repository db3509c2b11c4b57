/** `tacet explain`: which law gives which value to a campaign, or to a call of it. */
import { parseArgs } from 'node:util';
import { loadConfig } from '../../config/load.ts';
import type { Campaign } from '../../config/schema.ts';
import { explain as explanationOf, renderExplanation } from '../law/explain.ts';
import { lawOf } from '../law/load.ts';
import { campaignNamed, configPath } from './options.ts';

const usage = 'usage: tacet explain CAMPAIGN [--from NUMBER] [--to NUMBER] [--json] [--config FILE]';

export async function explain(words: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      from: { type: 'string' },
      to: { type: 'string' },
      json: { type: 'boolean' },
    },
  });
  const [name] = positionals;
  if (name === undefined || positionals.length > 1) {
    console.error(usage);
    return 2;
  }
  const loaded = await loadConfig(configPath(values.config));
  const campaign = campaignNamed(name, loaded.campaigns);
  const call = { outside: outsideOf(campaign, values), now: new Date() };
  const explanation = explanationOf(campaign, call, await lawOf(loaded));
  console.log(
    values.json === true
      ? JSON.stringify(explanation, undefined, 2)
      : renderExplanation(campaign, explanation),
  );
  return 0;
}

/** The outside party calls in an inbound campaign, and is called in an outbound one. */
function outsideOf(
  { direction }: Pick<Campaign, 'direction'>,
  { from, to }: { from?: string | undefined; to?: string | undefined },
): string | undefined {
  return direction === 'inbound' ? from : to;
}
