/** In a process of its own: the threads of the test runner keep their priority. */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('calls come before the helper threads of V8, and before nothing else', () => {
  const module = new URL('../../agent/helper-threads.ts', import.meta.url).href;
  const code = `
    import { readdirSync, readFileSync } from 'node:fs';
    import { getPriority } from 'node:os';
    import { putCallsFirst } from ${JSON.stringify(module)};
    const before = getPriority();
    putCallsFirst();
    const threads = readdirSync('/proc/self/task').map((thread) => ({
      name: readFileSync('/proc/self/task/' + thread + '/comm', 'utf8').trim(),
      lowered: getPriority(Number(thread)) - before,
    }));
    console.log(JSON.stringify(threads));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', code], {
    encoding: 'utf8',
  });
  const threads = JSON.parse(output) as { name: string; lowered: number }[];
  const [helpers, others] = [
    threads.filter(({ name }) => name === 'V8Worker'),
    threads.filter(({ name }) => name !== 'V8Worker'),
  ];
  expect(helpers.length).toBeGreaterThan(0);
  expect(helpers.every(({ lowered }) => lowered === 5)).toBe(true);
  expect(others.length).toBeGreaterThan(0);
  expect(others.every(({ lowered }) => lowered === 0)).toBe(true);
});
