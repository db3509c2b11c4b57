/** One torture message, and what must become of it. */
export interface Torture {
  name: string;
  /** Latin1 bytes; `{port}` in the top Via is where responses go. */
  bytes: Buffer;
  /** Final status of the response; left out: none comes. */
  status?: number;
  /** For a response: whether it is read, or dropped as unreadable. */
  response?: 'read' | 'dropped';
  /** It names a dialog that we do not have: 481 stands for accepted. */
  inDialog?: boolean;
}

/** The lines of a message as bytes; a body of text ends with CRLF as the RFC prints it. */
export function message(...lines: string[]): Buffer {
  return Buffer.from(lines.join('\r\n') + '\r\n', 'latin1');
}

const sdp = [
  'v=0',
  'o=mhandley 29739 7272939 IN IP4 192.0.2.1',
  's=-',
  'c=IN IP4 192.0.2.1',
  't=0 0',
  'm=audio 49217 RTP/AVP 0 12',
  'm=video 3227 RTP/AVP 31',
  'a=rtpmap:31 LPC',
];

/** The INVITE of RFC 4475 with its usual body, differing by the lines given. */
export function invite(start: string, ...headers: string[]): Buffer {
  return message(start, ...headers, '', ...sdp);
}
