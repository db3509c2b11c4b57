/** The SDP in a body that may hold more than SDP (RFC 5621): found, and put in again with everything else kept. */

export interface SipBody {
  text: string;
  /** Content-Type; undefined is taken for SDP. */
  type: string | undefined;
}

interface Part {
  /** Where the part's content begins and ends in the body. */
  from: number;
  to: number;
  type: string;
}

/** The session description in a body: the body itself, or its first `application/sdp` part; undefined where there is none. */
export function sdpIn({ text, type }: SipBody): string | undefined {
  const media = mediaType(type);
  if (media === 'application/sdp') return text === '' ? undefined : text;
  const part = sdpPart({ text, type });
  return part === undefined ? undefined : text.slice(part.from, part.to);
}

/** The same body with another session description in its place. */
export function withSdp({ text, type }: SipBody, sdp: string): SipBody {
  const part = sdpPart({ text, type });
  if (part === undefined) return { text: sdp, type: 'application/sdp' };
  return { text: text.slice(0, part.from) + sdp + text.slice(part.to), type };
}

/** Type and subtype in lower case, without parameters. */
function mediaType(type: string | undefined): string {
  return (type ?? 'application/sdp').split(';', 1)[0]!.trim().toLowerCase();
}

function sdpPart({ text, type }: SipBody): Part | undefined {
  if (!mediaType(type).startsWith('multipart/')) return undefined;
  const boundary = boundaryOf(type ?? '');
  if (boundary === undefined) return undefined;
  return partsOf(text, `--${boundary}`).find((part) => mediaType(part.type) === 'application/sdp');
}

function boundaryOf(type: string): string | undefined {
  for (const parameter of type.split(';').slice(1)) {
    const equals = parameter.indexOf('=');
    if (equals < 0 || parameter.slice(0, equals).trim().toLowerCase() !== 'boundary') continue;
    const value = parameter.slice(equals + 1).trim();
    return value.startsWith('"') ? value.slice(1, -1) : value;
  }
  return undefined;
}

/** The parts between delimiter lines; a CRLF before a delimiter belongs to the delimiter (RFC 2046 section 5.1.1). */
function partsOf(text: string, delimiter: string): Part[] {
  const parts: Part[] = [];
  let at = text.startsWith(delimiter) ? 0 : text.indexOf(`\r\n${delimiter}`) + 2;
  if (at === 1) return parts;
  for (;;) {
    const headersFrom = text.indexOf('\r\n', at + delimiter.length);
    const next = text.indexOf(`\r\n${delimiter}`, at + delimiter.length);
    if (headersFrom < 0 || next < 0) return parts;
    const blank = text.indexOf('\r\n\r\n', headersFrom);
    if (blank >= 0 && blank < next) {
      const type = headerIn(text.slice(headersFrom, blank));
      parts.push({ from: blank + 4, to: next, type });
    }
    at = next + 2;
    if (text.startsWith(`${delimiter}--`, at)) return parts;
  }
}

/** Content-Type among a part's headers; text/plain where it has none (RFC 2046 section 5.1). */
function headerIn(headers: string): string {
  for (const line of headers.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0 && line.slice(0, colon).trim().toLowerCase() === 'content-type')
      return line.slice(colon + 1);
  }
  return 'text/plain';
}
