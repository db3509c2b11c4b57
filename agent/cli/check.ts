/** `tacet check`: reads the configuration, the campaigns, their laws and prompts, and says what is wrong. */
import { loadConfig } from '../../config/load.ts';
import { concerns, constrain } from '../law/constrain.ts';
import { loadLawPacks } from '../law/packs.ts';
import { onlyConfig } from './options.ts';

export async function check(words: string[]): Promise<number> {
  const path = onlyConfig(words);
  const { campaigns } = await loadConfig(path);
  const packs = await loadLawPacks();
  const today = new Date().toISOString().slice(0, 10);
  for (const campaign of campaigns) {
    const { mode, rate, retentionDays, packs: applied } = constrain(campaign, packs);
    console.log(
      `${campaign.name}: ${mode}, at most ${rate * 100} %, kept ${retentionDays} days (${applied.join(', ')})`,
    );
    for (const concern of concerns(campaign, packs, today)) console.log(`  note: ${concern}`);
  }
  console.log(`${path}: nothing wrong`);
  return 0;
}
