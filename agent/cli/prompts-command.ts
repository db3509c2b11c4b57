/** `tacet prompts`: a site's own audio, checked before anybody is told by it, and what of it the campaigns use. */
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { TacetError } from '../../config/errors.ts';
import { loadConfig } from '../../config/load.ts';
import type { Campaign } from '../../config/schema.ts';
import { name as promptName } from '../../config/schema/values.ts';
import { readAudioFile } from '../../media/prompts/convert.ts';
import { examine, faultsOf } from '../../media/prompts/examine.ts';
import { hashOf, loadPrompt } from '../../media/prompts/load.ts';
import { writtenWav } from '../../media/prompts/wav.ts';
import { configPath } from './options.ts';

const usage = [
  'usage: tacet prompts check FILE...',
  '       tacet prompts add FILE --name NAME [--replace]   [--config FILE]',
  '       tacet prompts list [--json]   [--config FILE]',
].join('\n');

/** A prompt of that name is there: calls in the ledger may have been told by it. */
class PromptExists extends TacetError {
  constructor(path: string) {
    super(`${path} is there already, and is another: choose another name, or give --replace`);
  }
}

export async function prompts(words: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      json: { type: 'boolean' },
      name: { type: 'string' },
      replace: { type: 'boolean' },
    },
  });
  const [what, ...files] = positionals;
  const [file] = files;
  if (what === 'check' && file !== undefined) return await check(files);
  if (what === 'add' && files.length === 1 && promptName.safeParse(values.name).success) {
    const folder = join(dirname(resolve(configPath(values.config))), 'prompts');
    return await add(file!, join(folder, `${values.name!}.wav`), values.replace === true);
  }
  if (what === 'list') return await list(configPath(values.config), values.json === true);
  console.error(usage);
  return 2;
}

async function check(files: readonly string[]): Promise<number> {
  let unusable = 0;
  for (const file of files) {
    const { said, faults } = judge(await readAudioFile(file));
    console.log(`${file}: ${said}`);
    for (const fault of faults) console.log(`  wrong: it ${fault}`);
    if (faults.length > 0) unusable += 1;
  }
  return unusable === 0 ? 0 : 1;
}

async function add(file: string, path: string, replace: boolean): Promise<number> {
  const samples = await readAudioFile(file);
  const { said, faults } = judge(samples);
  if (faults.length > 0) {
    for (const fault of faults) console.error(`${file} is not taken: it ${fault}`);
    return 1;
  }
  if (!replace && (await isAnother(path, hashOf(samples)))) throw new PromptExists(path);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, writtenWav(samples));
  await rename(`${path}.new`, path);
  console.log(
    `${path}: ${said}\nname it in a campaign: announcement: { prompt: ./prompts/${path.split('/').at(-1)} }`,
  );
  return 0;
}

async function isAnother(path: string, hash: string): Promise<boolean> {
  const there = await stat(path).catch(() => undefined);
  return there !== undefined && (await loadPrompt(path)).hash !== hash;
}

function judge(samples: Int16Array): { said: string; faults: string[] } {
  const examined = examine(samples);
  const level = examined.levelDb === undefined ? 'silent' : `${examined.levelDb} dBFS`;
  return {
    said: `${(examined.durationMs / 1_000).toFixed(1)} s, ${level}, SHA-256 ${hashOf(samples)}`,
    faults: faultsOf(examined),
  };
}

/** Every prompt of the campaigns: the ledger names it by its hash in the calls that were told by it. */
async function list(path: string, json: boolean): Promise<number> {
  const { campaigns, directory } = await loadConfig(path);
  const uses = new Map<string, string[]>();
  for (const campaign of campaigns) {
    for (const prompt of promptsOf(campaign)) uses.set(prompt, [...(uses.get(prompt) ?? []), campaign.name]);
  }
  const rows = await Promise.all(
    [...uses].map(async ([prompt, of]) => {
      const { hash, durationMs } = await loadPrompt(
        prompt.includes('/') ? resolve(directory, prompt) : prompt,
      );
      return { prompt, hash, durationMs, campaigns: [...new Set(of)] };
    }),
  );
  const line = ({ prompt, hash, durationMs, campaigns: of }: (typeof rows)[number]): string =>
    `${prompt}  ${(durationMs / 1_000).toFixed(1)} s  ${hash}  ${of.join(', ')}`;
  console.log(json ? JSON.stringify(rows) : rows.map(line).join('\n'));
  return 0;
}

function promptsOf({ announcement }: Campaign): string[] {
  return [announcement, ...announcement.translations]
    .flatMap(({ prompt, consentPrompt, refusedPrompt }) => [prompt, consentPrompt, refusedPrompt])
    .filter((prompt) => prompt !== undefined);
}
