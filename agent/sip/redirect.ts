/** Following a 3xx (RFC 3261 section 8.1.3.4), as far as it leads to a peer that is configured. */
import type { Peer, Peers } from './peers.ts';
import { userOf, wholeUserOf } from './peer-uri.ts';

/** Where a call goes next, and as whom it is called there. */
export interface Target {
  to: Peer;
  /** User part of the request-URI, its parameters included. */
  called: string;
  /** Says from where it was diverted (RFC 5806). */
  diversion?: string | undefined;
}

/** Redirections that one call follows at most. */
export const maxRedirections = 5;

/**
 * The targets that a 3xx names, best first (`q`), of which only configured peers of the same kind as the one that
 * redirected count: no answer makes us call a stranger.
 */
export function redirectTargets(
  contact: string | undefined,
  from: Target,
  peers: Pick<Peers, 'byUri'>,
  reason: string,
): Target[] {
  if (contact === undefined) return [];
  const diversion = `<sip:${from.called}@${hostOf(from.to.uri)}>;reason=${reason};counter=1`;
  return splitContacts(contact.slice(0, 2_048))
    .sort((one, other) => other.q - one.q)
    .flatMap(({ uri }) => {
      const to = peers.byUri(uri);
      const called = wholeUserOf(uri) ?? '';
      return to?.kind === from.to.kind && userOf(uri) !== undefined ? [{ to, called, diversion }] : [];
    })
    .slice(0, maxRedirections);
}

/** The reason that a Diversion header gives for a status (RFC 5806 section 4, RFC 3261 section 21.3). */
export function diversionReason(status: number): string {
  return status === 302 ? 'deflection' : 'unconditional';
}

function hostOf(uri: string): string {
  return uri.slice(uri.indexOf('@') < 0 ? uri.indexOf(':') + 1 : uri.indexOf('@') + 1).split(/[;?]/u)[0]!;
}

function splitContacts(value: string): { uri: string; q: number }[] {
  const found: { uri: string; q: number }[] = [];
  const pattern = /<([^<>]{1,512})>([^,<>]{0,256})|(?:^|,)\s*(sips?:[^,;<>\s]{1,512})([^,<>]{0,256})/giu;
  for (const [, named, namedParameters, bare, bareParameters] of value.matchAll(pattern)) {
    const q = /;\s*q=(1(?:\.0{0,3})?|0(?:\.\d{0,3})?)/iu.exec(namedParameters ?? bareParameters ?? '')?.[1];
    found.push({ uri: (named ?? bare)!, q: Number(q ?? 1) });
  }
  return found;
}
