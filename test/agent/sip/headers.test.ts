import { describe, expect, test } from 'vitest';
import { hopHeaders } from '../../../config/schema/headers.ts';
import { carriedHeaders, headerFilter, headerOf } from '../../../agent/sip/headers.ts';

const none = { pass: [], drop: [] };

describe('without a word in the configuration', () => {
  const passes = headerFilter(none, none);

  test.each([
    'p-asserted-identity',
    'p-preferred-identity',
    'p-charging-vector',
    'remote-party-id',
    'privacy',
    'identity',
    'diversion',
    'history-info',
    'user-to-user',
    'call-info',
    'alert-info',
    'geolocation',
    'resource-priority',
    'accept-contact',
    'reason',
    'x-campaign',
  ])('%s crosses', (name) => {
    expect(passes(name)).toBe(true);
  });

  test.each(['server', 'user-agent', 'warning', 'p-associated-uri', 'unheard-of', ...hopHeaders])(
    '%s stays',
    (name) => {
      expect(passes(name)).toBe(false);
    },
  );
});

test('a site adds and removes, and a peer has the last word', () => {
  const passes = headerFilter(
    { pass: ['Foo', 'Bar-*'], drop: ['X-*', 'History-Info'] },
    { pass: ['X-Campaign'], drop: ['Bar-Secret'] },
  );
  const names = ['foo', 'bar-open', 'bar-secret', 'x-campaign', 'x-other', 'history-info', 'diversion'];
  expect(names.filter(passes)).toEqual(['foo', 'bar-open', 'x-campaign', 'diversion']);
});

test('no wildcard hands on what belongs to one leg', () => {
  const passes = headerFilter({ pass: ['*'], drop: [] }, none);
  expect([...hopHeaders].filter(passes)).toEqual([]);
});

test("our own marks are not taken over from the other leg's", () => {
  const headers: Record<string, string> = {
    'session-id': 'a',
    'X-Tacet-Call': 'theirs',
    'X-Tacet-Pass': 'theirs',
    'X-Ticket': '7',
    via: 'SIP/2.0/UDP 10.0.0.1',
    subject: '',
  };
  const message = { headers, get: (name: string) => headers[name] };
  const to = { passes: headerFilter(none, none), trusted: true };
  expect(carriedHeaders(message, { from: to, to })).toEqual({ 'X-Ticket': '7' });
});

describe('who calls (RFC 3325)', () => {
  const passes = headerFilter(none, none);
  const carried = (privacy: string, from: boolean, to: boolean): string[] => {
    const headers: Record<string, string> = {
      'p-asserted-identity': '<sip:+33100000001@example.org>',
      'P-Preferred-Identity': '<sip:1@example.org>',
      'remote-party-id': '<sip:+33100000001@example.org>',
      subject: 'a call',
      ...(privacy === '' ? {} : { privacy }),
    };
    const message = { headers, get: (name: string) => headers[name] };
    return Object.keys(carriedHeaders(message, { from: { trusted: from }, to: { passes, trusted: to } }));
  };
  const all = ['p-asserted-identity', 'P-Preferred-Identity', 'remote-party-id', 'subject'];

  test.each([
    ['', true, true, all],
    ['', true, false, all],
    ['id', true, true, [...all, 'privacy']],
    ['id', true, false, ['subject', 'privacy']],
    ['header; ID;critical', true, false, ['subject', 'privacy']],
    ['none', true, false, [...all, 'privacy']],
    ['identity', true, false, [...all, 'privacy']],
    ['', false, true, all.slice(1)],
    ['id', false, true, [...all.slice(1), 'privacy']],
  ])('with Privacy "%s", from one trusted %s to one trusted %s', (privacy, from, to, names) => {
    expect(carried(privacy, from, to)).toEqual(names);
  });

  test('is hidden all the same where the list keeps the wish for privacy back', () => {
    const headers: Record<string, string> = { 'p-asserted-identity': '<sip:1@example.org>', privacy: 'id' };
    const to = { passes: headerFilter({ pass: [], drop: ['Privacy'] }, none), trusted: false };
    const message = { headers, get: (name: string) => headers[name] };
    expect(carriedHeaders(message, { from: { trusted: true }, to })).toEqual({});
  });
});

test('a header is found whatever its case, and no name of JavaScript is one', () => {
  const message = { headers: { from: '<sip:a@b>', 'X-Campaign': 'gold', 'P-Early-Media': '' } };
  expect(headerOf(message, 'From')).toBe('<sip:a@b>');
  expect(headerOf(message, 'x-campaign')).toBe('gold');
  expect(headerOf(message, 'P-Early-Media')).toBe('');
  expect(headerOf(message, 'X-Other')).toBeUndefined();
  expect(headerOf(message, 'constructor')).toBeUndefined();
});
