/** Headers that the application gave: which of them count, and what they mean on the wire. */
import { header, headerOf } from './message.ts';
import type { Header, RawMessage } from './message.ts';
import { contactUri } from './transport.ts';
import type { Listener } from './transport.ts';
import { hostPort } from './uri.ts';

/** What the server decides by itself in a request, whatever the application sends. */
const serversOwn = new Set([
  'via',
  'max-forwards',
  'route',
  'record-route',
  'from',
  'to',
  'call-id',
  'cseq',
  'content-length',
  'rseq',
]);

/**
 * `@localhost` stands for the address of the transport (the application does not know it).
 *
 * @param secure the request asks for `sips`, so our Contact has to be one (RFC 3261 section 8.1.1.8)
 */
export function atHost({ key, value }: Header, listener: Listener, secure = false): string {
  if (!value.includes('@localhost')) return value;
  if (key === 'contact') {
    const [scheme = 'sip', place = ''] = contactUri(listener, secure).split(/:(.*)/u);
    return party(value).replace('<sip:', `<${scheme}:`).replaceAll('@localhost', `@${place}`);
  }
  if (key !== 'from' && key !== 'to' && key !== 'p-asserted-identity') return value;
  return value.replaceAll('@localhost', `@${hostPort(listener.host, listener.port)}`);
}

/** The application's own headers of a request, without those that the server decides. */
export function applicationsOwn(
  raw: RawMessage,
  listener: Listener,
  besides: readonly string[] = [],
): Header[] {
  const headers: Header[] = [];
  for (const given of raw.headers) {
    if (serversOwn.has(given.key) || besides.includes(given.key)) continue;
    const value = atHost(given, listener);
    headers.push(header(given.name, given.key === 'contact' ? party(value) : value));
  }
  return headers;
}

/** What a CANCEL of the application says besides that it is one: its reasons. */
export function reasonsOf(raw: RawMessage): Header[] {
  return raw.headers.filter(({ key }) => !serversOwn.has(key) && key !== 'contact');
}

/** One header of the application as it goes on the wire. */
export function givenValue(
  raw: RawMessage,
  key: string,
  listener: Listener,
  secure = false,
): string | undefined {
  const given = raw.headers.find((one) => one.key === key);
  return given && atHost(given, listener, secure);
}

export function addContentType(headers: Header[], raw: RawMessage): void {
  if (raw.body.startsWith('v=0') && headerOf({ headers }, 'content-type') === undefined) {
    headers.push(header('Content-Type', 'application/sdp'));
  }
}

/** An addr-spec becomes a name-addr, so that its parameters and ours cannot mix. */
export function party(value: string): string {
  if (value.includes('<')) return value;
  const semicolon = value.indexOf(';');
  return semicolon < 0 ? `<${value}>` : `<${value.slice(0, semicolon)}>${value.slice(semicolon)}`;
}
