/** A site's own audio, made by ffmpeg in the formats that people have. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { findIn, readWav } from '../../peers/wav.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';

const run = promisify(execFile);
const speech = new URL('../../../config/prompts/fr-refused.wav', import.meta.url).pathname;
const tacet = new URL('../../../agent/cli/tacet.ts', import.meta.url).pathname;

/** What the command says, and its exit status. */
async function prompts(...words: string[]): Promise<{ said: string; status: number }> {
  try {
    const { stdout, stderr } = await run(process.execPath, [tacet, 'prompts', ...words]);
    return { said: stdout + stderr, status: 0 };
  } catch (error) {
    const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: number };
    return { said: stdout + stderr, status: code };
  }
}

const config = `
campaigns: campaigns.yaml
sip: { listen: [{ address: 127.0.0.1, port: 5060 }] }
trunks: [{ name: carrier, sources: [192.0.2.1], uri: 'sip:192.0.2.1', routes: [pbx] }]
pbxs: [{ name: pbx, sources: [192.0.2.2], uri: 'sip:192.0.2.2', routes: [carrier] }]
`;
const campaigns = `
campaigns:
  - name: support-fr
    direction: inbound
    match: { called: ['+338*'] }
    purpose: training
    controller: Marco SA
    announcement: { prompt: ./prompts/welcome.wav }
`;

describe('tacet prompts', () => {
  test.each([
    ['Opus', 'opus', ['-c:a', 'libopus', '-b:a', '32k']],
    ['MP3', 'mp3', ['-c:a', 'libmp3lame', '-b:a', '64k']],
    ['WAV of a studio', 'wav', ['-c:a', 'pcm_s24le', '-ar', '48000', '-ac', '2']],
  ])('add takes %s, and what is kept sounds the same', async (_, extension, coding) => {
    await using folder = await temporaryFolder('prompts');
    const file = join(folder.path, `given.${extension}`);
    await run('ffmpeg', ['-v', 'error', '-i', speech, ...coding, file]);
    const configFile = join(folder.path, 'tacet.yaml');
    const { said, status } = await prompts('add', file, '--name', 'welcome', '--config', configFile);
    expect(said).toMatch(/welcome\.wav: 2\.\d s, -1\d(\.\d)? dBFS, SHA-256 [0-9a-f]{64}/u);
    expect(status).toBe(0);
    const [kept, given] = await Promise.all([
      readWav(join(folder.path, 'prompts/welcome.wav')),
      readWav(speech),
    ]);
    expect(kept.sampleRate).toBe(8_000);
    expect(findIn(kept.channels[0]!, given.channels[0]!.subarray(4_000, 12_000)).likeness).toBeGreaterThan(
      0.9,
    );
  });

  test('what is added is listed by its hash with the campaigns that use it; another of its name is not taken', async () => {
    await using folder = await temporaryFolder('prompts');
    const configFile = join(folder.path, 'tacet.yaml');
    await writeFile(configFile, config);
    await writeFile(join(folder.path, 'campaigns.yaml'), campaigns);
    const place = ['--config', configFile];
    const added = await prompts('add', speech, '--name', 'welcome', ...place);
    const hash = /SHA-256 (?<hash>[0-9a-f]{64})/u.exec(added.said)?.groups?.['hash'];
    const { said } = await prompts('list', '--json', ...place);
    expect(JSON.parse(said)).toContainEqual({
      prompt: './prompts/welcome.wav',
      hash,
      durationMs: expect.any(Number) as number,
      campaigns: ['support-fr'],
    });
    expect(await prompts('add', speech, '--name', 'welcome', ...place)).toMatchObject({ status: 0 });
    const other = speech.replace('fr-refused', 'en-refused');
    const again = await prompts('add', other, '--name', 'welcome', ...place);
    expect(again).toMatchObject({ status: 1, said: expect.stringContaining('--replace') as string });
    expect(await prompts('add', other, '--name', 'welcome', '--replace', ...place)).toMatchObject({
      status: 0,
    });
  });

  test('what is no prompt is not taken, and why is said', async () => {
    await using folder = await temporaryFolder('prompts');
    const [long, text] = [join(folder.path, 'long.wav'), join(folder.path, 'prompt.mp3')];
    await run('sox', [
      '-n',
      '-r',
      '8000',
      '-c',
      '1',
      '-b',
      '16',
      long,
      'synth',
      '9',
      'sine',
      '500',
      'vol',
      '0.9',
    ]);
    await writeFile(text, 'this is no audio\n');
    const { said, status } = await prompts('check', long);
    expect(status).toBe(1);
    expect(said).toContain('wrong: it lasts 9000 ms; 8000 at most');
    expect(said).toContain('wrong: it is too loud');
    const added = await prompts('add', long, '--name', 'long', '--config', join(folder.path, 'tacet.yaml'));
    expect(added).toMatchObject({ status: 1, said: expect.stringContaining('is not taken') as string });
    expect((await prompts('check', text)).said).toContain('is no audio that ffmpeg can read');
    expect((await prompts('check', join(folder.path, 'none.wav'))).said).toContain('cannot be read');
  });
});
