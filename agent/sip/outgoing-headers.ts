/** The headers of an INVITE of ours: who calls, through how many hops, for which call; topology stays behind. */
import type { NameAddr } from 'drachtio-srf';
import type { DialOptions } from './dial.ts';
import { allowed } from './leg.ts';
import { passHeader, type PassTokens } from './passes.ts';
import { uriTo, userOf, wholeUserOf } from './peer-uri.ts';

/** Headers that describe a body, handed on with a body that is not ours. */
const bodyHeaders = ['MIME-Version', 'Content-Disposition', 'Content-Language', 'Content-ID'];

export function outgoingHeaders(
  { invite, to, sdp, contentType, called, diversion, headers: more = {} }: DialOptions,
  tokens: PassTokens,
): Record<string, string> {
  const { pass } = invite.marks;
  const from = anonymized(invite.fromParty);
  const headers: Record<string, string> = {
    ...invite.carriedTo(to),
    ...more,
    ...invite.correlation.headers('far', to, false),
    From: from.party,
    Allow: allowed,
    // Who offers nothing cannot answer an offer in a PRACK, so it does not ask for one.
    Supported: sdp === undefined ? 'replaces' : '100rel, replaces',
    Contact: `<sip:${from.user}@localhost>`,
    'Max-Forwards': String(Math.max(0, invite.maxForwards - 1)),
    [passHeader]: tokens.issue({ of: pass?.of ?? invite.call, passes: (pass?.passes ?? 0) + 1 }),
  };
  const toUser = wholeUserOf(invite.toParty.uri);
  if (toUser !== undefined && called === undefined) {
    headers['To'] = named(invite.toParty.name, uriTo(to, toUser));
  }
  if (diversion !== undefined) {
    const before = headers['Diversion'];
    headers['Diversion'] = before === undefined ? diversion : `${diversion}, ${before}`;
  }
  if (contentType === undefined) return headers;
  headers['Content-Type'] = contentType;
  if (sdp !== invite.body) return headers;
  for (const name of bodyHeaders) {
    const value = invite.header(name);
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}

/**
 * The caller as the next side sees it: name and user as they came, the host ours. A caller who is anonymous in the way of
 * RFC 3323 section 4.1.1.3 stays so, host included.
 */
function anonymized({ name, uri }: NameAddr): { party: string; user: string } {
  const user = userOf(uri) === undefined ? 'anonymous' : wholeUserOf(uri)!;
  const host = uri.toLowerCase().endsWith('@anonymous.invalid') ? 'anonymous.invalid' : 'localhost';
  return { party: named(name, `sip:${user}@${host}`), user };
}

function named(name: string | undefined, uri: string): string {
  const display = name === undefined ? '' : name.replaceAll(/["\\\r\n]/gu, '');
  return display === '' ? `<${uri}>` : `"${display}" <${uri}>`;
}
