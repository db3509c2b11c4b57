/** `tacet check`: reads the configuration, the campaigns, their laws, prompts and speech models, and says what is wrong. */
import { resolve } from 'node:path';
import { loadConfig } from '../../config/load.ts';
import { modelIn } from '../../media/voice/sherpa/model-folder.ts';
import { concerns } from '../law/constrain.ts';
import { Law } from '../law/law.ts';
import { lawOf, switchedOffPacks } from '../law/load.ts';
import { onlyConfig } from './options.ts';

export async function check(words: string[]): Promise<number> {
  const path = onlyConfig(words);
  const loaded = await loadConfig(path);
  for (const { model } of loaded.config.recognisers)
    if (model !== undefined) await modelIn(resolve(loaded.directory, model));
  const law = new Law(await lawOf(loaded));
  const today = new Date().toISOString().slice(0, 10);
  let stopped = 0;
  for (const campaign of loaded.campaigns) {
    const { mode, rate, retentionDays, retentionMonths, packs, blocked } = law.take(campaign, today);
    const kept = [
      ...(retentionDays === undefined ? [] : [`${retentionDays} days`]),
      ...(retentionMonths === undefined ? [] : [`${retentionMonths} months`]),
    ].join(' and ');
    console.log(
      blocked.length > 0
        ? `${campaign.name}: nothing is recorded (${packs.join(', ')})`
        : `${campaign.name}: ${mode}, at most ${rate * 100} %, kept ${kept} at most (${packs.join(', ')})`,
    );
    for (const { text } of blocked) console.log(`  wrong: ${text}`);
    for (const concern of concerns(campaign, today, law.book)) console.log(`  note: ${concern}`);
    if (blocked.length > 0) stopped += 1;
  }
  for (const why of switchedOffPacks(law.book)) console.log(`law: ${why}`);
  console.log(stopped === 0 ? `${path}: nothing wrong` : `${path}: ${stopped} campaigns that record nothing`);
  return stopped === 0 ? 0 : 1;
}
