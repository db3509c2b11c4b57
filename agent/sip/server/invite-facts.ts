/** What an INVITE of ours is made of, and how it is asked again. */
import type { Application } from './application.ts';
import type { Dialog } from './dialog.ts';
import { header } from './message.ts';
import type { Header } from './message.ts';
import { sessionExpiresOf } from './session-timer.ts';
import type { Hop } from './stack.ts';
import type { Listener } from './transport.ts';

export interface InviteFacts {
  owner: Application;
  /** Under which the application hears of it. */
  dialogId: string;
  requestUri: string;
  branch: string;
  /** All headers of it as sent. */
  headers: readonly Header[];
  body: string;
  /** Headers that its CANCEL and the ACK to a failure repeat: Via, Max-Forwards, Route, From, To, Call-ID. */
  head: Header[];
  cseq: number;
  local: string;
  callId: string;
  localTag: string;
  contact: string;
  /** There in a re-INVITE. */
  within: Dialog | undefined;
  /** The ways to the peer, best first. */
  hops: readonly [Hop, ...Hop[]];
  /** That of the first hop, for which it is written. */
  listener: Listener;
}

/** Headers of an INVITE that its CANCEL and the ACK to a failure repeat. */
const repeated = new Set(['via', 'max-forwards', 'route', 'from', 'to', 'call-id']);

/** What differs between the first INVITE and the one after a 422. */
export type Tried = Pick<InviteFacts, 'branch' | 'cseq' | 'head' | 'headers'>;

/** What a re-INVITE is, written by `dialog.compose`. */
export function reinviteFacts(
  dialog: Dialog,
  owner: Application,
  branch: string,
  composed: { uri: string; headers: readonly Header[] },
  body: string,
): Omit<InviteFacts, 'hops'> {
  return {
    owner,
    dialogId: dialog.id,
    requestUri: composed.uri,
    branch,
    headers: composed.headers,
    body,
    head: composed.headers.filter(({ key }) => repeated.has(key)),
    cseq: dialog.localSeq,
    local: dialog.local,
    callId: dialog.callId,
    localTag: dialog.localTag,
    contact: dialog.contact,
    within: dialog,
    listener: dialog.listener,
  };
}

/**
 * The same INVITE asking for a longer session, as RFC 4028 section 7.3 wants it after a 422.
 *
 * @param minSeconds Min-SE of the 422
 */
export function withLongerSession(before: Tried, branch: string, cseq: number, minSeconds: number): Tried {
  const rewrite = (one: Header): Header => {
    if (one.key === 'via') return header('Via', one.value.replace(before.branch, branch));
    if (one.key === 'cseq') return header('CSeq', `${cseq} INVITE`);
    if (one.key !== 'session-expires') return one;
    const refresher = sessionExpiresOf({ headers: [one] })?.refresher;
    return header('Session-Expires', `${minSeconds}${refresher ? `;refresher=${refresher}` : ''}`);
  };
  const headers = before.headers.filter(({ key }) => key !== 'min-se').map(rewrite);
  headers.push(header('Min-SE', String(minSeconds)));
  return { branch, cseq, headers, head: before.head.map(rewrite) };
}
