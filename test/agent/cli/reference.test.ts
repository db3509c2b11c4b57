import { expect, test } from 'vitest';
import { configReference } from '../../../agent/cli/reference.ts';

test('the reference has a row for each key, with what is allowed, its default and its meaning', () => {
  const reference = configReference();
  expect(reference).toContain(
    '| `rate` | a number from 0 to 1 | `0.3` | ceiling of the recorded share of eligible conversations |',
  );
  expect(reference).toMatch(
    /\| `trunks\[\]\.uri` \| a SIP URI.* \| required \| where calls to this peer are sent \|/u,
  );
  expect(reference).toMatch(/\| `redis\.timeoutMs` \| a whole number from 1 to 1000 \| `20` \|/u);
  expect(reference).toContain('| `campaigns` |');
});
