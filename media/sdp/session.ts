/** SDP as lines (RFC 8866): order and unknown lines are kept, nothing is interpreted here. */
import { SdpRefused } from '../plane.ts';

const largestBytes = 65_536;
const mostMedia = 64;

export interface SdpLine {
  type: string;
  value: string;
}

export interface SdpSession {
  /** Lines before the first `m=`. */
  lines: SdpLine[];
  media: SdpMedia[];
}

export interface SdpMedia {
  kind: string;
  port: number;
  /** The port's count, `m=audio 49170/2`, as text with its slash. */
  ports: string;
  protocol: string;
  formats: string[];
  /** Lines after the `m=`. */
  lines: SdpLine[];
}

/** Splits a description into lines and media; line ends may be CRLF or LF. @throws SdpRefused (malformed) */
export function parseSdp(text: string): SdpSession {
  if (text.length > largestBytes) throw new SdpRefused('malformed', `${text.length} characters`);
  const session: SdpSession = { lines: [], media: [] };
  let lines = session.lines;
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line === '') continue;
    if (line[1] !== '=' || line[0]! < 'a' || line[0]! > 'z') {
      // Not quoted: it may hold a key (`a=crypto`), and this goes into logs.
      throw new SdpRefused('malformed', `line ${index + 1} is not a line of SDP`);
    }
    const [type, value] = [line[0]!, line.slice(2)];
    if (type !== 'm') {
      lines.push({ type, value });
      continue;
    }
    if (session.media.length === mostMedia) throw new SdpRefused('malformed', `more than ${mostMedia} media`);
    const media = parseMedia(value);
    session.media.push(media);
    lines = media.lines;
  }
  if (session.lines[0]?.type !== 'v') throw new SdpRefused('malformed', 'does not begin with v=');
  return session;
}

function parseMedia(value: string): SdpMedia {
  const [kind = '', where = '', protocol = '', ...formats] = value.split(' ').filter((word) => word !== '');
  const [port = '', count] = where.split('/');
  const number = Number(port);
  if (!/^\d{1,5}$/u.test(port) || number > 65_535 || protocol === '' || formats.length === 0) {
    throw new SdpRefused('malformed', `m=${value.slice(0, 60)}`);
  }
  return { kind, port: number, ports: count === undefined ? '' : `/${count}`, protocol, formats, lines: [] };
}

/** The value of the first line `a=name:value` (or `a=name`, which is empty). */
export function attribute(lines: readonly SdpLine[], name: string): string | undefined {
  for (const { type, value } of lines) {
    if (type !== 'a') continue;
    if (value === name) return '';
    if (value.startsWith(`${name}:`)) return value.slice(name.length + 1).trim();
  }
  return undefined;
}

/** Joins lines as they go on the wire. */
export function writeLines(lines: readonly string[]): string {
  return `${lines.join('\r\n')}\r\n`;
}
