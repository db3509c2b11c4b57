/** Which headers of one leg reach the other: identity and billing survive, topology does not leak. */
import type { z } from 'zod';
import { hopHeaders, type headerLists } from '../../config/schema/headers.ts';

export type HeaderLists = z.infer<typeof headerLists>;

/** Whether a header (lower case) may be sent to a peer. */
export type HeaderFilter = (name: string) => boolean;

/**
 * End-to-end headers that are handed on in either direction. Of those that name hosts, History-Info and Diversion are
 * kept as they are: billing reads them.
 */
const passedByDefault: readonly string[] = [
  // Identity: RFC 3325, 3323, 8224 (STIR), 7315, 6050, the old draft of Remote-Party-ID.
  'p-*',
  'remote-party-id',
  'privacy',
  'identity',
  'identity-info',
  'date',
  // How the call came here: RFC 5806, 7044, 3892, 3326.
  'diversion',
  'history-info',
  'referred-by',
  'reason',
  // What telephones show and do: RFC 3261, 7433, 3841, 4412, 6442, 5373.
  'user-to-user',
  'call-info',
  'alert-info',
  'error-info',
  'subject',
  'organization',
  'priority',
  'accept-language',
  'accept-contact',
  'reject-contact',
  'request-disposition',
  'resource-priority',
  'geolocation',
  'geolocation-routing',
  'geolocation-error',
  'answer-mode',
  'priv-answer-mode',
  // What the session's and our own marks are; ours replace the peer's.
  'session-id',
  'x-*',
];

/** Of the `P-` family those that name the peer's network to the other side (RFC 7315 sections 4.1, 4.4, RFC 3327). */
const keptBack: readonly string[] = ['p-associated-uri', 'p-visited-network-id', 'p-access-network-info'];

/** A message as drachtio-srf has parsed it: compact names are written out, their case is anybody's. */
export interface Parsed {
  headers: Record<string, string>;
}

/**
 * A header of a message, by its full name. In place of drachtio-srf's own `get`, which asks the process's environment and makes a list
 * of all names each time: a call's set-up reads some forty headers, most of which are not there.
 */
export function headerOf({ headers }: Parsed, name: string): string | undefined {
  const wanted = name.toLowerCase();
  if (Object.hasOwn(headers, wanted)) return headers[wanted];
  const written = Object.keys(headers).find(
    (each) => each.length === wanted.length && each.toLowerCase() === wanted,
  );
  return written === undefined ? undefined : headers[written];
}

/** Compiles the lists of a site and of one peer: the peer's word counts before the site's, `drop` before `pass`. */
export function headerFilter(site: HeaderLists, peer: HeaderLists): HeaderFilter {
  const rules: { matches: HeaderFilter; passes: boolean }[] = [
    { matches: (name) => hopHeaders.has(name), passes: false },
    { matches: listed(peer.drop), passes: false },
    { matches: listed(peer.pass), passes: true },
    { matches: listed(site.drop), passes: false },
    { matches: listed(site.pass), passes: true },
    { matches: listed(keptBack), passes: false },
    { matches: listed(passedByDefault), passes: true },
  ];
  const known = new Map<string, boolean>();
  return (name) => {
    let passes = known.get(name);
    if (passes === undefined) {
      passes = rules.find(({ matches }) => matches(name))?.passes ?? false;
      // Names are the peers' to choose: what is remembered of them is bounded.
      if (known.size < 512) known.set(name, passes);
    }
    return passes;
  };
}

/** Who calls, or was reached: asserted by a network (RFC 3325), preferred by a telephone, or in the old draft's form. */
const identities: ReadonlySet<string> = new Set([
  'p-asserted-identity',
  'p-preferred-identity',
  'remote-party-id',
]);

/**
 * The headers that may be shown to a peer. One that is not trusted is not told the identity of who asked for privacy (RFC
 * 3325 section 7); the others are told, Privacy with it, and see to it themselves.
 */
export function shownTo(
  { trusted }: { trusted: boolean },
  headers: Record<string, string>,
): Record<string, string> {
  if (trusted) return headers;
  const privacy = Object.entries(headers).find(([name]) => name.toLowerCase() === 'privacy')?.[1] ?? '';
  const asked = privacy.toLowerCase().split(/[;,\s]+/u);
  return asked.includes('id') ? withoutIdentity(headers, identities) : headers;
}

/** The headers that a peer may set: one that is not trusted asserts no identity (RFC 3325 section 5). */
export function believedOf(
  { trusted }: { trusted: boolean },
  headers: Record<string, string>,
): Record<string, string> {
  return trusted ? headers : withoutIdentity(headers, new Set(['p-asserted-identity']));
}

function withoutIdentity(
  headers: Record<string, string>,
  names: ReadonlySet<string>,
): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.has(name.toLowerCase())));
}

/** The headers of a message that go on to a peer; our own marks (`X-Tacet-...`, Session-ID) are set anew on each leg. */
export function carriedHeaders(
  message: Parsed,
  { from, to }: { from: { trusted: boolean }; to: { passes: HeaderFilter; trusted: boolean } },
): Record<string, string> {
  const carried: Record<string, string> = {};
  // Whether privacy was asked for is read before the lists take the header away.
  const shown = shownTo(to, believedOf(from, message.headers));
  for (const [name, value] of Object.entries(shown)) {
    const lower = name.toLowerCase();
    if (lower === 'session-id' || lower.startsWith('x-tacet-') || !to.passes(lower)) continue;
    if (value !== '') carried[name] = value;
  }
  return carried;
}

function listed(names: readonly string[]): HeaderFilter {
  const exact = new Set(names.filter((name) => !name.endsWith('*')).map((name) => name.toLowerCase()));
  const prefixes = names.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1).toLowerCase());
  return (name) => exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}
