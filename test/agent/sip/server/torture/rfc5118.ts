/** Messages of RFC 5118: IPv6 in all its places. See rfc4475-valid.ts for how they are written. */
import { message } from './message.ts';
import type { Torture } from './message.ts';

function register(uri: string, via: string, ...more: string[]): Buffer {
  return message(
    `REGISTER ${uri} SIP/2.0`,
    'To: sip:user@example.com',
    'From: sip:user@example.com;tag=81x2',
    `Via: SIP/2.0/UDP ${via}`,
    `Call-ID: SSG9559905523997077@hlau_4100.${uri.length}.${via.length}.${more.join('').length}`,
    'Max-Forwards: 70',
    'Contact: "Caller" <sip:caller@[2001:db8::1]>',
    'CSeq: 98176 REGISTER',
    ...more,
    'Content-Length: 0',
    '',
  );
}

const good = '[2001:db8::9:1]:{port};branch=z9hG4bKas3-111';

export const ipv6: readonly Torture[] = [
  { name: '4.1 a reference in the Request-URI', status: 200, bytes: register('sip:[2001:db8::10]', good) },
  { name: '4.2 no brackets in the Request-URI', status: 400, bytes: register('sip:2001:db8::10', good) },
  {
    name: '4.3 a port that is ambiguous without brackets: inside them',
    status: 200,
    bytes: register('sip:[2001:db8::10:5070]', good),
  },
  { name: '4.4 a port after the brackets', status: 200, bytes: register('sip:[2001:db8::10]:5070', good) },
  {
    name: '4.5 received without brackets',
    status: 200,
    bytes: register(
      'sip:[2001:db8::10]',
      '[2001:db8::9:1]:{port};received=2001:db8::9:255;branch=z9hG4bKas3-112',
    ),
  },
  {
    name: '4.5 received with brackets, as some send it',
    status: 200,
    bytes: register(
      'sip:[2001:db8::10]',
      '[2001:db8::9:1]:{port};received=[2001:db8::9:255];branch=z9hG4bKas3-113',
    ),
  },
  {
    name: '4.6 references in SDP are of no matter to the head',
    status: 200,
    bytes: register('sip:example.com', good, 'Subject: 4.6'),
  },
  {
    name: '4.7 several references in one header field',
    status: 200,
    bytes: register(
      'sip:example.com',
      good,
      'Via: SIP/2.0/UDP [2001:db8::9:9],SIP/2.0/UDP [2001:db8::9:8]:5061;branch=z9hG4bK2',
    ),
  },
  {
    name: '4.8 several colons: the address in Contact',
    status: 200,
    bytes: register('sip:example.com', good, 'Route: <sip:[2001:db8::7]:5060;lr>'),
  },
  {
    name: '4.9 IPv4 inside IPv6',
    status: 200,
    bytes: register('sip:[::ffff:192.0.2.10]', '[::ffff:192.0.2.2]:{port};branch=z9hG4bKas3-114'),
  },
  {
    name: '4.10 three colons, as the grammar of RFC 3261 has them by mistake',
    status: 200,
    bytes: register('sip:[2001:db8:::192.0.2.1]', good),
  },
];
