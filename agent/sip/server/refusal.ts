/** Responses outside any transaction: to what cannot be kept track of, and to what must cost nothing. */
import { createHash, randomBytes } from 'node:crypto';
import { header, headerOf, serialize } from './message.ts';
import type { Header } from './message.ts';

const reasons = {
  400: 'Bad Request',
  413: 'Request Entity Too Large',
  503: 'Service Unavailable',
  505: 'Version Not Supported',
  513: 'Message Too Large',
} as const;

const salt = randomBytes(16);

/**
 * RFC 3261 section 8.2.7: a stateless response; its To tag is the same for every repeat of a request.
 *
 * @param headers those of the request, of which the needed ones are copied
 */
export function refusal(
  status: keyof typeof reasons,
  headers: readonly Header[],
  ...ours: readonly Header[]
): string {
  const copied = headers.filter((one) => one.key === 'via');
  for (const key of ['from', 'to', 'call-id', 'cseq']) {
    const first = headers.find((one) => one.key === key);
    if (first) copied.push(key === 'to' && !first.value.includes(';tag=') ? tagged(first, headers) : first);
  }
  return serialize(`SIP/2.0 ${status} ${reasons[status]}`, [...copied, ...ours], '');
}

/** RFC 3261 section 20.43: 399 is a warning for people. */
export function warning(host: string, why: string): Header {
  return header('Warning', `399 ${host} "${why}"`);
}

function tagged(to: Header, headers: readonly Header[]): Header {
  const identity = ['via', 'call-id', 'cseq'].map((key) => headerOf({ headers }, key) ?? '').join('|');
  const tag = createHash('sha256').update(salt).update(identity).digest('hex').slice(0, 16);
  return { ...to, value: `${to.value};tag=${tag}` };
}
