/**
 * SIP messages (RFC 3261 sections 7 and 25): strict about structure, generous about style.
 *
 * Text is kept as received bytes, one character a byte (latin1), from the datagram to the control frame: what a peer
 * wrote comes back to it unchanged, and every length is a byte length.
 */
import { parseHostPort, parseNameAddr, parseSipUri, paramsOf, splitOutside } from './uri.ts';
import type { NameAddr, Params } from './uri.ts';

export interface Header {
  /** As received, compact forms expanded. */
  readonly name: string;
  /** The name in lower case: what one looks up. */
  readonly key: string;
  /** Unfolded and trimmed. */
  readonly value: string;
}

export interface Via {
  transport: string;
  host: string;
  port: number | undefined;
  params: Params;
}

interface Message {
  headers: Header[];
  body: string;
  via: Via;
  from: NameAddr;
  to: NameAddr;
  callId: string;
  cseq: number;
  /** Method of the CSeq header. */
  method: string;
}

export interface SipRequest extends Message {
  kind: 'request';
  uri: string;
}

export interface SipResponse extends Message {
  kind: 'response';
  status: number;
  reason: string;
}

/** Head and body, as far as any SIP message has them; what the application sends need not hold more. */
export interface RawMessage {
  startLine: string;
  headers: Header[];
  body: string;
  /** Head and body can be told apart, but the message must be refused. */
  trouble: string | undefined;
}

export type Parsed =
  | { ok: true; message: SipRequest | SipResponse }
  /** `answer` is there where a request can be answered: the status to give and the headers to copy. */
  | { ok: false; why: string; answer: { status: 400 | 505; headers: Header[] } | undefined };

export const limits = { messageBytes: 65_535, headers: 256, headerBytes: 16_384 };

const compactForms: Readonly<Record<string, string>> = {
  a: 'Accept-Contact',
  b: 'Referred-By',
  c: 'Content-Type',
  d: 'Request-Disposition',
  e: 'Content-Encoding',
  f: 'From',
  i: 'Call-ID',
  j: 'Reject-Contact',
  k: 'Supported',
  l: 'Content-Length',
  m: 'Contact',
  o: 'Event',
  r: 'Refer-To',
  s: 'Subject',
  t: 'To',
  u: 'Allow-Events',
  v: 'Via',
  x: 'Session-Expires',
};

const onlyOnce = new Set([
  'from',
  'to',
  'call-id',
  'cseq',
  'max-forwards',
  'content-type',
  'content-length',
  'expires',
  'rseq',
  'rack',
  'session-expires',
  'min-se',
  'refer-to',
  'event',
]);

const token = /^[A-Za-z0-9\-.!%*_+`'~]+$/u;
const cseqValue = /^(\d{1,10})[ \t]+(\S+)$/u;

/** Reads one datagram. Never throws; linear in its length. */
export function parseMessage(bytes: Buffer): Parsed {
  const text = bytes.toString('latin1');
  const raw = splitMessage(text, limits, 'obey');
  if (typeof raw === 'string') return { ok: false, why: raw, answer: undefined };
  return raw.startLine.startsWith('SIP/') ? readResponse(raw) : readRequest(raw);
}

/**
 * Cuts a message into start line, headers and body, and checks only what belongs to that; where they cannot be told
 * apart, the reason as text.
 *
 * @param contentLength `ignore` takes all that follows the empty line as the body: drachtio-srf counts characters
 */
export function splitMessage(
  text: string,
  bounds: typeof limits,
  contentLength: 'obey' | 'ignore',
): RawMessage | string {
  if (text.length > bounds.messageBytes) return 'too large';
  let at = 0;
  while (text.startsWith('\r\n', at)) at += 2;
  const lineEnd = text.indexOf('\n', at);
  if (lineEnd < 0) return 'no end of the start line';
  const startLine = trimCr(text.slice(at, lineEnd));
  at = lineEnd + 1;
  const headers: Header[] = [];
  let declared: string | undefined;
  for (;;) {
    if (at >= text.length) return 'no empty line after the headers';
    let end = text.indexOf('\n', at);
    if (end < 0) return 'no end of a header line';
    let line = trimCr(text.slice(at, end));
    at = end + 1;
    if (line === '') break;
    while (text[at] === ' ' || text[at] === '\t') {
      end = text.indexOf('\n', at);
      if (end < 0) return 'no end of a folded header line';
      const folded = trimCr(text.slice(at, end)).trim();
      if (line.length + folded.length > bounds.headerBytes) return 'a header is too long';
      line = `${line} ${folded}`;
      at = end + 1;
    }
    if (line.length > bounds.headerBytes) return 'a header is too long';
    if (headers.length === bounds.headers) return 'too many headers';
    const colon = line.indexOf(':');
    if (colon < 1) return 'a header line without a name';
    const given = line.slice(0, colon).trimEnd();
    if (!token.test(given)) return 'a header name that is no token';
    const name = given.length === 1 ? (compactForms[given.toLowerCase()] ?? given) : given;
    const header = { name, key: name.toLowerCase(), value: line.slice(colon + 1).trim() };
    if (header.key === 'content-length') declared = header.value;
    headers.push(header);
  }
  if (hasControlCharacters(text, at)) return 'control characters in the head';
  const body = text.slice(at);
  if (declared === undefined || contentLength === 'ignore') {
    return { startLine, headers, body, trouble: undefined };
  }
  const length = /^\d{1,9}$/u.test(declared) ? Number(declared) : undefined;
  if (length === undefined) return { startLine, headers, body, trouble: 'Content-Length is no number' };
  if (length > body.length) return { startLine, headers, body, trouble: 'shorter than its Content-Length' };
  return { startLine, headers, body: body.slice(0, length), trouble: undefined };
}

/**
 * A bare CR or a NUL could end a line for the next reader where it ended none for us. Behind a backslash, where
 * quoted strings may have them, they end nothing.
 */
function hasControlCharacters(text: string, end: number): boolean {
  for (let at = 0; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x20 && code !== 0x7f) continue;
    if (code === 0x09 || code === 0x0a) continue;
    if (code === 0x0d && text.charCodeAt(at + 1) === 0x0a) continue;
    if (code !== 0x0d && text.charCodeAt(at - 1) === 0x5c) continue;
    return true;
  }
  return false;
}

function trimCr(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

function readRequest(raw: RawMessage): Parsed {
  // RFC 4475 section 3.1.2.10: spaces at the end mean nothing.
  const line = raw.startLine.trimEnd();
  const firstSpace = line.indexOf(' ');
  const lastSpace = line.lastIndexOf(' ');
  const method = line.slice(0, Math.max(0, firstSpace));
  const version = line.slice(lastSpace + 1);
  if (firstSpace < 1 || !token.test(method) || !version.toUpperCase().startsWith('SIP/')) {
    return { ok: false, why: 'a start line that is no request', answer: undefined };
  }
  const refuse = (why: string, status: 400 | 505 = 400): Parsed => ({
    ok: false,
    why,
    answer: method === 'ACK' || !answerable(raw, status) ? undefined : { status, headers: raw.headers },
  });
  if (version.toUpperCase() !== 'SIP/2.0') return refuse('not SIP/2.0', 505);
  const uri = line.slice(firstSpace + 1, lastSpace).trim();
  if (uri === '' || /[\s<>"]/u.test(uri)) return refuse('a Request-URI that is none');
  if (/^sips?:/iu.test(uri) && !parseSipUri(uri))
    return refuse('a Request-URI without a host that can be read');
  if (raw.trouble !== undefined) return refuse(raw.trouble);
  const common = readCommon(raw);
  if (typeof common === 'string') return refuse(common);
  if (common.method !== method) return refuse('the method of CSeq differs from the start line');
  const forwards = headerOf(raw, 'max-forwards');
  if (forwards !== undefined && !(/^\d{1,10}$/u.test(forwards) && Number(forwards) <= 255)) {
    return refuse('Max-Forwards is no number up to 255');
  }
  return { ok: true, message: { kind: 'request', uri, headers: raw.headers, body: raw.body, ...common } };
}

function readResponse(raw: RawMessage): Parsed {
  const match = /^SIP\/2\.0[ \t]+([1-6]\d\d)(?:[ \t](.*))?$/iu.exec(raw.startLine);
  if (!match) return { ok: false, why: 'a start line that is no response', answer: undefined };
  const common = raw.trouble ?? readCommon(raw);
  if (typeof common === 'string') return { ok: false, why: common, answer: undefined };
  const reason = (match[2] ?? '').trim();
  const head = { status: Number(match[1]), reason, headers: raw.headers, body: raw.body };
  return { ok: true, message: { kind: 'response', ...head, ...common } };
}

/** Whether a refusal would find its way back to the right transaction; another version has Vias of its own. */
function answerable(raw: RawMessage, status: 400 | 505): boolean {
  const via = headerOf(raw, 'via');
  const all = ['from', 'to', 'call-id', 'cseq'].every((key) => headerOf(raw, key) !== undefined);
  if (!all || via === undefined) return false;
  return status === 505 || parseVia(splitOutside(via, ',')[0] ?? '') !== undefined;
}

/** What every message must have (RFC 3261 section 8.1.1), or what is wrong with it. */
function readCommon(
  raw: RawMessage,
): Pick<Message, 'via' | 'from' | 'to' | 'callId' | 'cseq' | 'method'> | string {
  const singles = new Map<string, string>();
  let topVia: string | undefined;
  for (const { key, value } of raw.headers) {
    if (key === 'via') topVia ??= value;
    else if (onlyOnce.has(key)) {
      if (singles.has(key)) return `more than one ${key}`;
      singles.set(key, value);
    }
  }
  const via = topVia === undefined ? undefined : parseVia(splitOutside(topVia, ',')[0] ?? '');
  if (!via) return 'no Via that can be read';
  const from = parseNameAddr(singles.get('from') ?? '');
  if (!from) return 'no From that can be read';
  const to = parseNameAddr(singles.get('to') ?? '');
  if (!to) return 'no To that can be read';
  const callId = singles.get('call-id');
  if (callId === undefined || callId === '' || /[\s|]/u.test(callId)) return 'no Call-ID that can be read';
  const cseq = cseqValue.exec(singles.get('cseq') ?? '');
  if (!cseq) return 'no CSeq that can be read';
  const number = Number(cseq[1]);
  if (number > 0xffff_ffff) return 'a CSeq number above 2**32';
  return { via, from, to, callId, cseq: number, method: cseq[2] ?? '' };
}

/** One Via value (RFC 3261 section 20.42), with the spaces that the grammar allows. */
export function parseVia(value: string): Via | undefined {
  const parts = splitOutside(value, ';');
  const first = parts[0] ?? '';
  const slash = first.indexOf('/', first.indexOf('/') + 1);
  if (slash < 0 || first.slice(0, slash).replace(/[ \t]/gu, '').toUpperCase() !== 'SIP/2.0') return undefined;
  const rest = first.slice(slash + 1).trim();
  const space = rest.search(/[ \t]/u);
  if (space < 1) return undefined;
  const place = parseHostPort(rest.slice(space).trim());
  return place && { transport: rest.slice(0, space).toUpperCase(), ...place, params: paramsOf(parts) };
}

/**
 * The headers with the top Via completed by where the request came from: `received` where the Via names another
 * address, `rport` where it was asked for (RFC 3261 section 18.2.1, RFC 3581).
 */
export function stampVia(message: SipRequest, source: { address: string; port: number }): void {
  const { via } = message;
  const wantsPort = via.params.get('rport') === '';
  const received = wantsPort || via.host !== source.address;
  if (!received) return;
  const params = new Map(via.params);
  if (wantsPort) params.set('rport', String(source.port));
  if (via.host !== source.address) params.set('received', source.address);
  message.via = { ...via, params };
  const at = message.headers.findIndex((header) => header.key === 'via');
  const header = message.headers[at];
  if (!header) return;
  const values = splitOutside(header.value, ',');
  values[0] = `${splitOutside(values[0] ?? '', ';')[0] ?? ''}${paramsText(params)}`;
  message.headers[at] = { name: 'Via', key: 'via', value: values.join(', ') };
}

function paramsText(params: Params): string {
  let text = '';
  for (const [name, value] of params) text += value === '' ? `;${name}` : `;${name}=${value}`;
  return text;
}

/** The bytes of a message; Content-Length is always there and right. */
export function serialize(startLine: string, headers: readonly Header[], body: string): string {
  let text = `${startLine}\r\n`;
  for (const { name, key, value } of headers) {
    if (key !== 'content-length') text += `${name}: ${value}\r\n`;
  }
  return `${text}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** The start line of a message as it goes on the wire. */
export function startLineOf(message: SipRequest | SipResponse): string {
  return message.kind === 'request'
    ? `${message.method} ${message.uri} SIP/2.0`
    : `SIP/2.0 ${message.status} ${message.reason}`;
}

/** The Request-URI of a request that we wrote, as a string of its own: a part of the text would hold all of it. */
export function requestUriOf(text: string): string {
  return detached(text.slice(text.indexOf(' ') + 1, text.indexOf(' SIP/2.0\r\n')));
}

/** The same characters, not a window on a longer string, which V8 would keep for as long. */
export function detached(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

export function textOf(message: SipRequest | SipResponse): string {
  return serialize(startLineOf(message), message.headers, message.body);
}

const irregularNames: Readonly<Record<string, string>> = {
  'call-id': 'Call-ID',
  cseq: 'CSeq',
  'www-authenticate': 'WWW-Authenticate',
  'mime-version': 'MIME-Version',
  rack: 'RAck',
  rseq: 'RSeq',
  'min-se': 'Min-SE',
  'sip-etag': 'SIP-ETag',
  'sip-if-match': 'SIP-If-Match',
  'content-id': 'Content-ID',
};

/** Header of ours or of the application: standard names in canonical form, `X-` names untouched. */
export function header(name: string, value: string): Header {
  const key = name.toLowerCase();
  if (name.startsWith('X-')) return { name, key, value };
  const dashed =
    irregularNames[key] ??
    name.replace(/(^|-)([a-z])/gu, (_, dash: string, letter: string) => dash + letter.toUpperCase());
  return { name: dashed, key, value };
}

/** First value of a header, by its lower-case name. */
export function headerOf(message: { headers: readonly Header[] }, key: string): string | undefined {
  for (const header of message.headers) if (header.key === key) return header.value;
  return undefined;
}

/** All values of a list header in order, comma lists taken apart. */
export function listOf(message: { headers: readonly Header[] }, key: string): string[] {
  const values: string[] = [];
  for (const header of message.headers)
    if (header.key === key) values.push(...splitOutside(header.value, ','));
  return values.filter((value) => value !== '');
}

/** Whether a message offers, or asks for, an extension such as `100rel`. */
export function names(
  message: { headers: readonly Header[] },
  list: 'supported' | 'require',
  option: string,
): boolean {
  return headerOf(message, list) !== undefined && listOf(message, list).includes(option);
}

/** Whether a message carries a description: SDP, or a multipart body that has one. */
export function descriptionIn(message: { headers: readonly Header[]; body: string }): string {
  const type = headerOf(message, 'content-type')?.toLowerCase() ?? '';
  if (type.startsWith('application/sdp')) return message.body;
  return type.startsWith('multipart/') && message.body.includes('application/sdp') ? message.body : '';
}
