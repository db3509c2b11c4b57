/**
 * SIP messages as the demo's carrier and PBX read and write them. Kept apart from Tacet's own SIP on purpose: two ends
 * that share their parser with the thing in the middle would agree with its mistakes.
 */

/** Name and value of each header, in order; names as written, compared without case. */
export type Headers = readonly (readonly [name: string, value: string])[];

export interface SipRequest {
  method: string;
  uri: string;
  headers: Headers;
  body: string;
}

export interface SipResponse {
  status: number;
  reason: string;
  headers: Headers;
  body: string;
}

const compactNames: Record<string, string> = {
  v: 'via',
  f: 'from',
  t: 'to',
  i: 'call-id',
  m: 'contact',
  c: 'content-type',
  l: 'content-length',
};

/** A datagram as a message (RFC 3261 section 7); undefined for what is not SIP, e.g. a keep-alive. */
export function parseMessage(text: string): SipRequest | SipResponse | undefined {
  const end = text.indexOf('\r\n\r\n');
  const [startLine = '', ...lines] = (end < 0 ? text : text.slice(0, end))
    .replaceAll(/\r\n[ \t]+/gu, ' ')
    .split('\r\n');
  const headers = lines.flatMap((line): Headers => {
    const colon = line.indexOf(':');
    return colon < 0 ? [] : [[line.slice(0, colon).trim(), line.slice(colon + 1).trim()]];
  });
  const body = end < 0 ? '' : text.slice(end + 4);
  const response = /^SIP\/2\.0 (\d{3}) ?(.*)$/u.exec(startLine);
  if (response !== null) {
    const [, status, reason = ''] = response;
    return { status: Number(status), reason, headers, body };
  }
  const request = /^([A-Z]+) (\S+) SIP\/2\.0$/u.exec(startLine);
  if (request === null) return undefined;
  const [, method = '', uri = ''] = request;
  return { method, uri, headers, body };
}

export function formatMessage(message: SipRequest | SipResponse): string {
  const startLine =
    'status' in message
      ? `SIP/2.0 ${message.status} ${message.reason}`
      : `${message.method} ${message.uri} SIP/2.0`;
  const lines = message.headers.map(([name, value]) => `${name}: ${value}`);
  return `${[startLine, ...lines, `Content-Length: ${Buffer.byteLength(message.body)}`].join('\r\n')}\r\n\r\n${message.body}`;
}

/** Every value of a header, in order. A value with commas is one value: the demo splits only where it needs to. */
export function headersOf(message: { headers: Headers }, name: string): string[] {
  const wanted = name.toLowerCase();
  return message.headers
    .filter(([given]) => {
      const lower = given.toLowerCase();
      return (compactNames[lower] ?? lower) === wanted;
    })
    .map(([, value]) => value);
}

export function headerOf(message: { headers: Headers }, name: string): string {
  return headersOf(message, name)[0] ?? '';
}

export const branchOf = (message: { headers: Headers }): string =>
  /;\s*branch=([^;,\s]+)/iu.exec(headerOf(message, 'via'))?.[1] ?? '';

export const tagOf = (value: string): string | undefined => /;\s*tag=([^;,\s]+)/iu.exec(value)?.[1];

/** The URI of a From, To or Contact value: what stands in angle brackets, or all before the first parameter. */
export const uriOf = (value: string): string =>
  /<([^>]+)>/u.exec(value)?.[1] ?? value.split(';')[0]?.trim() ?? '';

/** The user part of a URI: the number. */
export const userOf = (uri: string): string => /^sips?:([^@;>]+)@/iu.exec(uri)?.[1] ?? '';

export function sequenceOf(message: { headers: Headers }): { number: number; method: string } {
  const [number = '0', method = ''] = headerOf(message, 'cseq').split(/\s+/u);
  return { number: Number(number), method };
}
