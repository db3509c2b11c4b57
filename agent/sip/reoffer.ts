/** An offer within a dialog, early or answered, and the answer to it: re-INVITE (RFC 3261 section 14) and UPDATE (RFC 3311). */
import type { SipMessage, SrfRequest, SrfResponse } from 'drachtio-srf';
import { messageOf } from '../../config/errors.ts';
import type { LegMarks } from './correlation.ts';
import { headerOf } from './headers.ts';
import { endToEnd } from './hop-by-hop.ts';

/** A re-INVITE or UPDATE; `offer` is undefined in a re-INVITE without SDP, and in an UPDATE that only says who speaks. */
export interface Reoffer {
  method: 'INVITE' | 'UPDATE';
  /** The body: SDP, unless `contentType` says otherwise. */
  offer: string | undefined;
  contentType?: string | undefined;
  /** End-to-end headers, identity among them. */
  headers?: Record<string, string>;
  /** Before the answer, of which branch of a fork: the tag of whoever was called. */
  branch?: string | undefined;
}

export interface ReofferAnswer {
  status: number;
  reason?: string | undefined;
  /** The body: SDP, unless `contentType` says otherwise. */
  sdp: string | undefined;
  contentType?: string | undefined;
  headers?: Record<string, string>;
  /** Only after an offer without SDP: hands over the answer that the ACK carries (RFC 3261 section 14.1). */
  acknowledge?: (answer: string | undefined) => void | Promise<void>;
}

/** What both ends of a dialog have agreed on last, as the bodies read. */
export interface Agreed {
  local: string | undefined;
  remote: string | undefined;
}

export type AnswerReoffer = (reoffer: Reoffer) => Promise<ReofferAnswer>;

/** A body, or that there is none. */
export function written(body: string): string | undefined {
  return body === '' ? undefined : body;
}

/** What a re-INVITE or UPDATE of a far end asks for. */
export function reofferIn(method: Reoffer['method'], request: SrfRequest, marks: LegMarks): Reoffer {
  const { 'content-type': contentType, ...headers } = marks.believed(endToEnd(request));
  return { method, offer: written(request.body), contentType, headers };
}

/** What a far end's final response to our offer says. */
export function answerIn(response: SrfResponse, marks: LegMarks): ReofferAnswer {
  const { 'content-type': contentType, ...headers } = marks.believed(endToEnd(response));
  const { status, reason, body } = response;
  return { status, reason, sdp: written(body), contentType, headers };
}

/** Headers and body of an offer as it is sent. */
export function offered({ headers, offer, contentType }: Reoffer): {
  headers: Record<string, string>;
  body: string | undefined;
} {
  const typed = offer === undefined || contentType === undefined ? {} : { 'Content-Type': contentType };
  return { headers: { ...headers, ...typed }, body: offer };
}

/** An answer that could not be found is a 500: the far end stays as it was. */
export async function orServerError(answering: Promise<ReofferAnswer>): Promise<ReofferAnswer> {
  return answering.catch((error: unknown) => ({
    status: 500,
    reason: messageOf(error).slice(0, 60),
    sdp: undefined,
  }));
}

export function sendAnswer(
  res: SrfResponse,
  { status, reason, sdp, contentType, headers }: ReofferAnswer,
  marks: LegMarks,
): void {
  const all = marks.headers(headers);
  const typed = { ...all, 'Content-Type': contentType ?? 'application/sdp' };
  res.send(status, reason, sdp === undefined ? { headers: all } : { body: sdp, headers: typed });
}

/** Whether a far end says in Allow that it takes a method. */
export function allows(message: SipMessage, method: string): boolean {
  const listed = (headerOf(message, 'Allow') ?? '').split(',').map((each) => each.trim().toUpperCase());
  return listed.includes(method);
}
