/** SIP URIs and name-addr values (RFC 3261 sections 19.1 and 20.10), read by one scan each, never by backtracking. */

export interface SipUri {
  scheme: 'sip' | 'sips';
  user: string | undefined;
  /** Without the brackets of an IPv6 literal. */
  host: string;
  port: number | undefined;
  params: Params;
}

export type Params = ReadonlyMap<string, string>;

/** A From, To, Contact, Route, ... value: `"Name" <uri>;params` or `uri;params`. */
export interface NameAddr {
  uri: string;
  params: Params;
}

const quote = '"';

/**
 * Splits at a separator that stands outside quoted strings and angle brackets. Unbalanced quotes or brackets swallow
 * the rest, as they would for any reader.
 */
export function splitOutside(value: string, separator: ',' | ';'): string[] {
  if (!value.includes(separator)) return [value.trim()];
  const parts: string[] = [];
  let quoted = false;
  let bracketed = false;
  let from = 0;
  for (let at = 0; at < value.length; at++) {
    const char = value[at];
    if (quoted) {
      if (char === '\\') at++;
      else if (char === quote) quoted = false;
    } else if (char === quote) quoted = true;
    else if (char === '<') bracketed = true;
    else if (char === '>') bracketed = false;
    else if (char === separator && !bracketed) {
      parts.push(value.slice(from, at).trim());
      from = at + 1;
    }
  }
  parts.push(value.slice(from).trim());
  return parts;
}

/** Parameters after the first part: names in lower case, values with quotes kept; the first of two copies counts. */
export function paramsOf(parts: readonly string[]): Params {
  const params = new Map<string, string>();
  for (let at = 1; at < parts.length; at++) {
    const part = parts[at] ?? '';
    const equals = part.indexOf('=');
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    if (name !== '' && !params.has(name)) params.set(name, equals < 0 ? '' : part.slice(equals + 1).trim());
  }
  return params;
}

/** Reads one name-addr or addr-spec; undefined when there is no URI in it. */
export function parseNameAddr(value: string): NameAddr | undefined {
  const parts = splitOutside(value, ';');
  const first = parts[0] ?? '';
  let open = -1;
  let quoted = false;
  for (let at = 0; at < first.length; at++) {
    const char = first[at];
    if (quoted && char === '\\') at++;
    else if (char === quote) quoted = !quoted;
    else if (!quoted && char === '<') {
      open = at;
      break;
    }
  }
  if (quoted) return undefined;
  if (open < 0) {
    const uri = first.trim();
    return uri === '' || uri.includes(' ') || uri.includes(quote)
      ? undefined
      : { uri, params: paramsOf(parts) };
  }
  const close = first.indexOf('>', open);
  if (close < 0 || first.slice(close + 1).trim() !== '') return undefined;
  const uri = first.slice(open + 1, close).trim();
  return uri === '' || uri.includes(' ') ? undefined : { uri, params: paramsOf(parts) };
}

/** Reads a `sip:` or `sips:` URI; undefined for other schemes and for what has no host. */
export function parseSipUri(uri: string): SipUri | undefined {
  const colon = uri.indexOf(':');
  if (colon < 0) return undefined;
  const scheme = uri.slice(0, colon).toLowerCase();
  if (scheme !== 'sip' && scheme !== 'sips') return undefined;
  const at = uri.indexOf('@', colon);
  const user = at < 0 ? undefined : uri.slice(colon + 1, at);
  let rest = at < 0 ? uri.slice(colon + 1) : uri.slice(at + 1);
  const question = rest.indexOf('?');
  if (question >= 0) rest = rest.slice(0, question);
  const parts = rest.split(';');
  const place = parseHostPort(parts[0] ?? '');
  return place && { scheme, user, ...place, params: paramsOf(parts) };
}

/** `host`, `host:port`, `[v6]`, `[v6]:port`; spaces around the colon are let pass (RFC 4475 section 3.1.1.1). */
export function parseHostPort(text: string): { host: string; port: number | undefined } | undefined {
  let host: string;
  let rest: string;
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    if (close < 0) return undefined;
    host = text.slice(1, close);
    rest = text.slice(close + 1).trim();
  } else {
    const colon = text.indexOf(':');
    host = (colon < 0 ? text : text.slice(0, colon)).trim();
    rest = colon < 0 ? '' : text.slice(colon);
  }
  if (host === '' || /[\s"<>,@]/u.test(host)) return undefined;
  if (rest === '') return { host, port: undefined };
  if (!rest.startsWith(':')) return undefined;
  const digits = rest.slice(1).trim();
  if (!/^\d{1,5}$/u.test(digits)) return undefined;
  const port = Number(digits);
  return port > 65_535 ? undefined : { host, port };
}

/** The form of an address in URIs and Via: IPv6 literals in brackets. */
export function hostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
