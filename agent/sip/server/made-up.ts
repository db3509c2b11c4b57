/** Responses that no peer sent: the application waits for one to every request, and drachtio-srf has no timer. */
import { newTag } from './ids.ts';
import { header, serialize } from './message.ts';
import type { Header } from './message.ts';
import { parseNameAddr } from './uri.ts';

export type MadeUp = { status: 408 | 487 | 491 | 503; reason: string };

export const unreachable: MadeUp = { status: 503, reason: 'Service Unavailable' };

/** The response to this request as drachtio-server makes it up: a To tag where there was none. */
export function madeUpResponse(request: string, { status, reason }: MadeUp): string {
  const headers: Header[] = [];
  for (const line of request.slice(0, request.indexOf('\r\n\r\n')).split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    const one = header(line.slice(0, colon), line.slice(colon + 2));
    if (one.key === 'to') {
      const tagged = parseNameAddr(one.value)?.params.has('tag') === true;
      headers.push(tagged ? one : header('To', `${one.value};tag=${newTag()}`));
    } else if (['via', 'from', 'call-id', 'cseq'].includes(one.key)) headers.push(one);
  }
  return serialize(`SIP/2.0 ${status} ${reason}`, headers, '');
}
