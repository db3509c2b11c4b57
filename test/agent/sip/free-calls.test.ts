import { expect, test } from 'vitest';
import { configSchema } from '../../../config/schema.ts';
import { freeCalls, sosNumber } from '../../../agent/sip/free-calls.ts';

const peer = { sources: ['192.0.2.1'], uri: 'sip:192.0.2.1' };
const free = (
  routing: object,
  called: string,
  headers: Record<string, string> = {},
  from: 'trunk' | 'pbx' = 'trunk',
) =>
  freeCalls(
    configSchema.parse({
      campaigns: 'none',
      trunks: [{ ...peer, name: 'carrier' }],
      pbxs: [{ ...peer, name: 'pbx' }],
      routing,
    }).routing,
  )({ called, from, header: (name) => headers[name] });

test.each(['15', '17', '18', '112', '114', '115', '119', '191', '196', '197', '911', '999', '1 1 2'])(
  '%s is an emergency by default',
  (called) => {
    expect(free({}, called)).toBe('emergency');
  },
);

test.each(['+33115', '1150', '15001', '5', '', '+33123456789'])('%s is an ordinary number', (called) => {
  expect(free({}, called)).toBeUndefined();
});

test('each country has its own, and a site adds how its PBX dials them', () => {
  expect(free({}, '110')).toBeUndefined();
  expect(free({ emergency: { countries: ['DE'] } }, '110')).toBe('emergency');
  expect(free({ emergency: { countries: ['DE'] } }, '15')).toBeUndefined();
  expect(free({ emergency: { numbers: ['0*112', '0112*'] } }, '01122')).toBe('emergency');
});

test('a number that always passes is no emergency', () => {
  expect(free({ bypass: ['+33800*', '3900'] }, '+33 800-12')).toBe('bypass');
  expect(free({ bypass: ['+33800*', '3900'] }, '39001')).toBeUndefined();
});

test('an answering point that calls back must get through', () => {
  expect(free({}, '+33123456789', { Priority: 'psap-callback' })).toBe('emergency');
  expect(free({}, '+33123456789', { Priority: 'urgent' })).toBeUndefined();
});

test('a telephone of the site frees no call by saying that it is one', () => {
  expect(free({}, '+33123456789', { Priority: 'psap-callback' }, 'pbx')).toBeUndefined();
});

test.each([
  ['urn:service:sos', ['FR'], '112'],
  ['URN:service:SOS.fire', ['DE', 'US'], '112'],
  ['urn:service:sos', ['US'], '911'],
  ['urn:service:sos', [], '112'],
  ['urn:service:counseling', ['FR'], undefined],
  ['urn:service:sosumi', ['FR'], undefined],
  ['sip:sos@example.org', ['FR'], undefined],
] as const)('help called by name as %s, at home in %j, is %s', (uri, countries, number) => {
  expect(sosNumber(uri, countries)).toBe(number);
});
