import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Program } from '../peers/program.ts';
import { temporaryFolder } from '../peers/temporary-folder.ts';

const command = new URL('../../agent/cli/tacet.ts', import.meta.url).pathname;

test('the demo ends with its figures, recordings that are there, and no violation', async () => {
  await using home = await temporaryFolder('demo');
  await using demo = await Program.start(process.execPath, [command, 'demo', '--calls', '12', '--json'], {
    cwd: home.path,
  });
  expect((await demo.exited).code, demo.output).toBe(0);
  const figures = JSON.parse(demo.stdout.trim().split('\n').at(-1)!) as Record<string, unknown> & {
    recordings: string[];
  };
  expect(figures).toMatchObject({ calls: 12, targetRate: 0.3, violations: 0 });
  expect(figures.recordings).toHaveLength(Number(figures['recorded']));
  expect(Number(figures['recorded'])).toBeGreaterThan(0);
  for (const path of figures.recordings) {
    expect(path.startsWith(join(home.path, 'demo', 'recordings'))).toBe(true);
    expect((await stat(path)).size).toBeGreaterThan(16_000);
  }
});

test('a word that no command knows is answered with the usage', async () => {
  await using wrong = await Program.start(process.execPath, [command, 'nonsense']);
  expect((await wrong.exited).code).toBe(2);
  expect(wrong.stderr).toContain('tacet recordings');
});
