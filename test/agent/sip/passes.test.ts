import { expect, test } from 'vitest';
import { PassTokens } from '../../../agent/sip/passes.ts';
import type { CallId } from '../../../config/units.ts';

const of = '6f1c9a52-3a0e-4a55-9f7e-0a3f0f5d9c11' as CallId;

test('agents that share a secret know each other calls again', () => {
  const secret = 'a secret of this site';
  const token = new PassTokens(secret, 1_000).issue({ of, passes: 2 });
  expect(new PassTokens(secret, 1_000).read(token)).toEqual({ of, passes: 2 });
  expect(new PassTokens('another site, elsewhere', 1_000).read(token)).toBeUndefined();
  expect(new PassTokens(undefined, 1_000).read(token)).toBeUndefined();
});

test('a token with one changed character, an old one, and nonsense are nothing', () => {
  let now = 1_000_000;
  const tokens = new PassTokens(undefined, 60_000, () => now);
  const token = tokens.issue({ of, passes: 1 });
  expect(tokens.read(token)).toEqual({ of, passes: 1 });
  for (let at = 0; at < token.length; at += 1) {
    const changed = `${token.slice(0, at)}${token[at] === '1' ? '2' : '1'}${token.slice(at + 1)}`;
    expect(tokens.read(changed), changed).toBeUndefined();
  }
  for (const nonsense of [undefined, '', 'x'.repeat(10_000), ';;;']) {
    expect(tokens.read(nonsense)).toBeUndefined();
  }
  now += 60_001;
  expect(tokens.read(token)).toBeUndefined();
});
