/** Responses as they go on the wire: what RFC 3261 section 8.2.6.2 copies, what the application gave, what we add. */
import { atHost } from './application-headers.ts';
import type { Dialog } from './dialog.ts';
import { header, headerOf, serialize } from './message.ts';
import type { Header, RawMessage, SipRequest } from './message.ts';
import type { ServerTransaction } from './transaction/transaction.ts';
import { contactUri } from './transport.ts';
import type { Listener } from './transport.ts';

/** What the server answers by itself; the application never hears of these. */
export const refusals = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  415: 'Unsupported Media Type',
  416: 'Unsupported URI Scheme',
  420: 'Bad Extension',
  422: 'Session Interval Too Small',
  481: 'Call/Transaction Does Not Exist',
  482: 'Loop Detected',
  483: 'Too Many Hops',
  487: 'Request Terminated',
  491: 'Request Pending',
  500: 'Server Internal Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
} as const;

/** Sets the response's own headers apart from what the server decides. */
const serversOwn = new Set([
  'via',
  'from',
  'to',
  'call-id',
  'cseq',
  'content-length',
  'record-route',
  'route',
  'rseq',
]);

/**
 * Composes a response and sends it in its transaction; gives its text.
 *
 * @param tag our To tag, where the request has none: another than usual for a further branch of a fork
 */
export function respondIn(
  transaction: ServerTransaction,
  status: number,
  reason: string,
  headers: readonly Header[],
  body = '',
  tag = transaction.localTag,
): string {
  const { request } = transaction;
  const all: Header[] = [];
  for (const copied of request.headers) {
    switch (copied.key) {
      case 'via':
      case 'from':
      case 'call-id':
      case 'cseq':
        all.push(copied);
        break;
      case 'to':
        all.push(
          status === 100 || request.to.params.has('tag')
            ? copied
            : header('To', `${copied.value};tag=${tag}`),
        );
        break;
      case 'record-route':
        if (status > 100 && status < 300 && request.method === 'INVITE') all.push(copied);
        break;
      case 'timestamp':
        if (status === 100) all.push(copied);
        break;
    }
  }
  all.push(...headers);
  const text = serialize(`SIP/2.0 ${status} ${reason}`, all, body);
  transaction.respond(status, text);
  return text;
}

/** The application's headers of a response, and those that the response needs besides. */
export function responseHeaders(
  { request, listener }: ServerTransaction,
  dialog: Dialog | undefined,
  status: number,
  raw: RawMessage,
): Header[] {
  const headers: Header[] = [];
  let contact = false;
  let contentType = false;
  for (const given of raw.headers) {
    if (serversOwn.has(given.key)) continue;
    contact ||= given.key === 'contact';
    contentType ||= given.key === 'content-type';
    headers.push(header(given.name, atHost(given, listener, asksSecure(request))));
  }
  const inDialog = request.to.params.has('tag');
  const success = status >= 200 && status < 300;
  const refreshes = request.method === 'INVITE' && (success || inDialog) && status > 100;
  if (
    !contact &&
    (refreshes || (success && (request.method === 'SUBSCRIBE' || request.method === 'UPDATE')))
  ) {
    headers.push(header('Contact', dialog?.contact ?? contactFor(request, listener)));
  } else if (contact && dialog && request.method === 'INVITE' && success) {
    dialog.contact = headerOf({ headers }, 'contact') ?? dialog.contact;
  }
  if (!contentType && raw.body.startsWith('v=0')) headers.push(header('Content-Type', 'application/sdp'));
  return headers;
}

/**
 * The To tag of a response. One that the application put into To becomes the request's own, as long as no response carried
 * another; a later one is that of a further branch, which answers the same INVITE (RFC 3261 section 12.1.1).
 */
export function takeTag(transaction: ServerTransaction, raw: RawMessage): string {
  const to = headerOf(raw, 'to');
  const tag = to === undefined ? undefined : /;[ \t]*tag=([A-Za-z0-9\-.!%*_+`'~]+)/u.exec(to)?.[1];
  if (tag === undefined || transaction.request.to.params.has('tag')) return transaction.localTag;
  if (transaction.status <= 100) transaction.localTag = tag;
  return transaction.request.method === 'INVITE' ? tag : transaction.localTag;
}

/** Our Contact in a dialog that this request makes (RFC 3261 section 12.1.1). */
export function contactFor(request: SipRequest, listener: Listener): string {
  return `<${contactUri(listener, asksSecure(request))}>`;
}

/** RFC 3261 section 12.1.1: the Request-URI, the top Record-Route or, without one, the Contact is `sips`. */
function asksSecure(request: SipRequest): boolean {
  const hop = headerOf(request, 'record-route') ?? headerOf(request, 'contact') ?? '';
  return request.uri.toLowerCase().startsWith('sips:') || hop.toLowerCase().includes('<sips:');
}
