/** What a request must be before anybody looks at what it wants (RFC 3261 section 8.2), in the order of the RFC. */
import { randomInt } from 'node:crypto';
import type { Dialog } from './dialog.ts';
import { descriptionIn, header, headerOf, listOf, parseVia } from './message.ts';
import type { Header, SipRequest } from './message.ts';
import { tooShort } from './session-timer.ts';
import type { Stack } from './stack.ts';
import { parseSipUri } from './uri.ts';
import type { refusals } from './incoming-response.ts';

export interface Refusal {
  status: keyof typeof refusals;
  headers: Header[];
}

/** Extensions that a request may require: ours by conduct, or nothing but headers that pass through. */
const understood = new Set([
  '100rel',
  'timer',
  'replaces',
  'norefersub',
  'histinfo',
  'privacy',
  'uui',
  '199',
]);

/** Requests whose extensions are between the peer and the application. */
const applicationsExtensions = new Set(['REGISTER', 'SUBSCRIBE', 'NOTIFY', 'PUBLISH']);

/** Why this request is refused whatever the application would say; undefined lets it pass. */
export function whyRefused(request: SipRequest, stack: Stack, host: string): Refusal | undefined {
  const { method } = request;
  if (Number(headerOf(request, 'max-forwards') ?? 70) === 0) return { status: 483, headers: [] };
  const scheme = request.uri.slice(0, request.uri.indexOf(':')).toLowerCase();
  // Of URNs those alone that call for help by its name (RFC 5031): the application knows the number.
  const known = ['sip', 'sips', 'tel'].includes(scheme) || /^urn:service:sos(?:\.|$)/iu.test(request.uri);
  if (!known) return { status: 416, headers: [] };
  if (method === 'INVITE' && listOf(request, 'contact').length === 0) {
    return { status: 400, headers: [header('Warning', `399 ${host} "INVITE without Contact"`)] };
  }
  if (!request.to.params.has('tag') && looped(request, stack)) return { status: 482, headers: [] };
  if (!applicationsExtensions.has(method)) {
    const unknown = listOf(request, 'require').filter((option) => !understood.has(option.toLowerCase()));
    if (unknown.length > 0) return { status: 420, headers: [header('Unsupported', unknown.join(', '))] };
  }
  if ((method === 'INVITE' || method === 'UPDATE') && tooShort(request, stack.session)) {
    return { status: 422, headers: [header('Min-SE', String(stack.session.minimumSeconds))] };
  }
  return whyBodyRefused(request);
}

/** A body that we could not pass on rightly, unless its sender can do without (RFC 3261 section 8.2.3). */
function whyBodyRefused(request: SipRequest): Refusal | undefined {
  if (request.body === '' || request.method !== 'INVITE') return undefined;
  const disposition = headerOf(request, 'content-disposition')?.toLowerCase() ?? '';
  if (disposition.replaceAll(' ', '').includes(';handling=optional')) return undefined;
  const encoding = headerOf(request, 'content-encoding')?.toLowerCase() ?? 'identity';
  if (encoding !== 'identity') return { status: 415, headers: [header('Accept-Encoding', 'identity')] };
  const type = (headerOf(request, 'content-type') ?? 'application/sdp').split(';', 1)[0] ?? '';
  const known = type.trim().toLowerCase();
  if (known === 'application/sdp' || known.startsWith('multipart/')) return undefined;
  return { status: 415, headers: [header('Accept', 'application/sdp, multipart/mixed')] };
}

/**
 * Whether this is a request of ours that somebody sent back: it went through our own Via, and still asks for the same
 * user. With another user it is a spiral (RFC 3261 section 6), such as a forwarded call, and bounded by Max-Forwards.
 */
function looped(request: SipRequest, stack: Stack): boolean {
  const vias = listOf(request, 'via');
  for (let at = 1; at < vias.length; at++) {
    const branch = parseVia(vias[at] ?? '')?.params.get('branch');
    const ours = branch === undefined ? undefined : stack.clientBy(branch, request.method);
    if (!ours) continue;
    if (ours.uri === request.uri || parseSipUri(ours.uri)?.user === parseSipUri(request.uri)?.user)
      return true;
  }
  return false;
}

/**
 * A request that crosses one that is still open, theirs or ours: RFC 3261 section 14.2 for INVITE, RFC 3311 section
 * 5.2 for UPDATE.
 */
export function crossed(dialog: Dialog, request: SipRequest): Refusal | undefined {
  const theirs: Refusal = { status: 500, headers: [header('Retry-After', String(randomInt(0, 11)))] };
  const ours: Refusal = { status: 491, headers: [] };
  if (request.method === 'INVITE') {
    if (dialog.inviteIn || dialog.updateIn) return theirs;
    if (dialog.inviteOut || dialog.offers.open === 'ours') return ours;
  }
  if (request.method === 'UPDATE') {
    if (dialog.updateIn) return theirs;
    if (descriptionIn(request) === '') return undefined;
    if (dialog.offers.open === 'ours') return ours;
    if (dialog.offers.open === 'theirs') return theirs;
  }
  return undefined;
}

const knownMethods = new Set([
  'INVITE',
  'OPTIONS',
  'REGISTER',
  'MESSAGE',
  'INFO',
  'NOTIFY',
  'SUBSCRIBE',
  'PUBLISH',
  'REFER',
]);

/** What a method that no application takes is told: known and not wanted here, or not known at all. */
export function untaken(method: string): Refusal {
  const allow = header('Allow', 'INVITE, ACK, CANCEL, BYE, PRACK, UPDATE');
  return { status: knownMethods.has(method) ? 405 : 501, headers: [allow] };
}

/** What a request shares with its copies that came another way (RFC 3261 section 8.2.2.2). */
export function mergeKey({ callId, cseq, method, from }: SipRequest): string {
  return `${callId}|${cseq}|${method}|${from.params.get('tag') ?? ''}`;
}
