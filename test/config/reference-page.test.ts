import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { configReference } from '../../agent/cli/reference.ts';

test("the operators' page has the reference as the schema gives it", async () => {
  const page = await readFile(new URL('../../config/README.md', import.meta.url), 'utf8');
  expect(page).toContain(configReference());
});
