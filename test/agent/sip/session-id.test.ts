import { expect, test } from 'vitest';
import { nilUuid, parseSessionId, SessionIds } from '../../../agent/sip/session-id.ts';

const a = 'ab30317f1a784dc48ff824d0d3715d86';
const b = '47755a9de7794ba387653f2099600ef2';
const uuid = /^[0-9a-f]{32}$/u;

test.each([
  [`${a};remote=${nilUuid}`, { local: a, remote: nilUuid }],
  [`${a.toUpperCase()} ; remote=${b}`, { local: a, remote: b }],
  [a, { local: a, remote: nilUuid }],
  ['0123', undefined],
  [';remote=', undefined],
])('%s is read as RFC 7989 says', (value, expected) => {
  expect(parseSessionId(value)).toEqual(expected);
});

test('two ends that know Session-ID see each other through us', () => {
  const ids = new SessionIds();
  ids.heard('near', `${a};remote=${nilUuid}`);
  expect(ids.towards('far', false)).toBe(`${a};remote=${nilUuid}`);
  ids.heard('far', `${b};remote=${a}`);
  expect(ids.towards('near')).toBe(`${b};remote=${a}`);
  expect(ids.towards('far')).toBe(`${a};remote=${b}`);
});

test('an end without one is given one, and keeps it', () => {
  const ids = new SessionIds();
  const [local] = ids.towards('far', false).split(';');
  expect(local).toMatch(uuid);
  expect(ids.towards('far')).toContain(local!);
  ids.heard('far', undefined);
  const [far, near] = ids.towards('near').split(';remote=');
  expect(near).toBe(local);
  expect(far).toMatch(uuid);
  expect(ids.towards('near')).toBe(`${far!};remote=${near!}`);
});

test('the next peer is not called by the name of the former one', () => {
  const ids = new SessionIds();
  ids.heard('near', a);
  ids.heard('far', b);
  ids.forgetFar();
  expect(ids.towards('far', false)).toBe(`${a};remote=${nilUuid}`);
  expect(ids.towards('near')).not.toContain(b);
});

test('a nil UUID teaches nothing', () => {
  const ids = new SessionIds();
  ids.heard('near', `${nilUuid};remote=${b}`);
  expect(ids.towards('far', false)).not.toMatch(new RegExp(`^${nilUuid}`, 'u'));
});
