/** `tacet check`: what is wrong with a site is said before it starts. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { check } from '../../../agent/cli/check.ts';
import { ModelFolderUnusable } from '../../../media/voice/sherpa/model-folder.ts';
import { makeCtc } from '../../peers/speech-model.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';

const site = {
  campaigns: 'campaigns.yaml',
  sip: { listen: [{ address: '127.0.0.1', port: 5060 }] },
  trunks: [{ name: 'carrier', sources: ['127.0.0.1'], uri: 'sip:127.0.0.1:5070', routes: ['pbx'] }],
  pbxs: [{ name: 'pbx', sources: ['127.0.0.2'], uri: 'sip:127.0.0.2:5070', routes: ['carrier'] }],
  media: { ports: { min: 20_000, max: 20_100 } },
  recognisers: [{ model: './models/fr', languages: ['fr'] }],
};
const campaign = {
  name: 'support-fr',
  direction: 'inbound',
  match: { called: ['+338*'] },
  purpose: 'training',
  controller: 'Exemple',
  refusalVoice: 'recogniser',
  announcement: { language: 'fr' },
};

test('a campaign is told with its law; a speech model that is not there is said, and so is one that is', async () => {
  await using home = await temporaryFolder('check');
  const path = join(home.path, 'tacet.yaml');
  await writeFile(path, stringify(site));
  await writeFile(join(home.path, 'campaigns.yaml'), stringify({ campaigns: [campaign] }));
  const said: string[] = [];
  using _console = vi.spyOn(console, 'log').mockImplementation((line: string) => void said.push(line));
  await expect(check(['--config', path])).rejects.toThrow(ModelFolderUnusable);
  await makeCtc(join(home.path, 'models', 'fr'));
  expect(await check(['--config', path])).toBe(0);
  expect(said[0]).toMatch(/^support-fr: object, at most 30 %, kept .*FR-consumer-quality/u);
  expect(said.at(-1)).toBe(`${path}: nothing wrong`);
});
