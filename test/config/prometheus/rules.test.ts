import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const rules = new URL('../../../config/prometheus/', import.meta.url).pathname;
const names = (await readdir(rules)).filter((name) => name.endsWith('.rules.yaml'));
const promtool = (...args: string[]) => promisify(execFile)('promtool', args);

test.each(names)('Prometheus takes %s', async (name) => {
  const { stdout } = await promtool('check', 'rules', `${rules}${name}`);
  expect(stdout).toMatch(/SUCCESS: \d+ rules found/u);
});

test.each(names)("every metric that %s looks at stands on the operators' page", async (name) => {
  const page = await readFile(new URL('../../../config/README.md', import.meta.url), 'utf8');
  const looked = (await readFile(`${rules}${name}`, 'utf8')).match(/\btacet_[a-z_]+/gu) ?? [];
  expect(looked.length).toBeGreaterThan(0);
  for (const metric of new Set(looked)) {
    // A histogram is looked at by its buckets.
    const name = metric.slice('tacet_'.length).replace(/_bucket$/u, '');
    expect(page).toMatch(new RegExp(`\`${name}[\`{]`, 'u'));
  }
});

test.each(['sip', 'sampling'])(
  'the alerts in %s.test.yaml stand when they should, and not before',
  async (name) => {
    const played = new URL(`${name}.test.yaml`, import.meta.url).pathname;
    const { stdout } = await promtool('test', 'rules', played);
    expect(stdout).toContain('SUCCESS');
  },
);
