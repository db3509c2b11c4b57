/** A SIP peer that does only what it is told: a UDP socket, the messages that came, and ways to write new ones. */
import { createSocket } from 'node:dgram';
import { headerOf, parseMessage } from '../../../../agent/sip/server/message.ts';
import type { SipRequest, SipResponse } from '../../../../agent/sip/server/message.ts';
import { until } from './application.ts';

export type Received = SipRequest | SipResponse;

export interface Peer extends AsyncDisposable {
  port: number;
  contact: string;
  /** Port of the server that it sends to. */
  target: number;
  send(text: string): void;
  /** All that came, in order. */
  readonly received: readonly Received[];
  /** Takes the next message that fits, waiting for it; what came before it stays. */
  next(fits: number | string | ((message: Received) => boolean)): Promise<Received>;
  /** The same, but passes over what is sent again. */
  fresh(fits: number | string | ((message: Received) => boolean)): Promise<Received>;
}

export async function openPeer(serverPort: number): Promise<Peer> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const received: Received[] = [];
  const waiting: Received[] = [];
  socket.on('message', (bytes) => {
    if (bytes.length <= 4) return;
    const parsed = parseMessage(bytes);
    // A 400 gives back what could not be read as it came (RFC 3261 section 8.2.6.2).
    if (!parsed.ok && bytes.toString('latin1').startsWith('SIP/2.0 400 ')) return;
    if (!parsed.ok)
      throw new Error(`the server sent what cannot be read: ${parsed.why}\n${bytes.toString()}`);
    received.push(parsed.message);
    waiting.push(parsed.message);
  });
  const { port } = socket.address();
  const taken = new Set<string>();
  const take = async (test: (message: Received) => boolean, what: string): Promise<Received> => {
    await until(() => waiting.some(test), `message ${what}`, 5_000);
    const message = waiting.splice(waiting.findIndex(test), 1)[0]!;
    taken.add(identity(message));
    return message;
  };
  const peer: Peer = {
    port,
    target: serverPort,
    contact: `<sip:peer@127.0.0.1:${port}>`,
    received,
    send: (text) => socket.send(Buffer.from(text, 'latin1'), peer.target, '127.0.0.1'),
    next: (fits) => take(testOf(fits), String(fits)),
    fresh: (fits) =>
      take((message) => testOf(fits)(message) && !taken.has(identity(message)), `fresh ${String(fits)}`),
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  };
  return peer;
}

function testOf(fits: number | string | ((message: Received) => boolean)): (message: Received) => boolean {
  if (typeof fits === 'function') return fits;
  return (message) => (message.kind === 'request' ? message.method === fits : message.status === fits);
}

/** What a message has in common with its retransmissions alone. */
function identity(message: Received): string {
  const { via, cseq, method } = message;
  const rseq = headerOf(message, 'rseq') ?? '';
  const status = message.kind === 'response' ? message.status : '';
  return `${via.params.get('branch') ?? ''}|${cseq}|${method}|${status}|${rseq}`;
}

export const sdp =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n';

let count = 0;

export interface Writing {
  uri?: string;
  branch?: string;
  callId?: string;
  cseq?: number;
  fromTag?: string;
  toTag?: string;
  headers?: readonly string[];
  body?: string;
  /** Content-Type of the body, where it is not SDP. */
  type?: string;
  /** A Contact is there unless this is false. */
  contact?: boolean;
  maxForwards?: number;
}

/** A request of the peer; everything that is not given is fresh and right. */
export function request(peer: Peer, method: string, writing: Writing = {}): string {
  count += 1;
  const body = writing.body ?? '';
  const toTag = writing.toTag === undefined ? '' : `;tag=${writing.toTag}`;
  return [
    `${method} ${writing.uri ?? 'sip:200@127.0.0.1'} SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.1:${peer.port};branch=${writing.branch ?? `z9hG4bK-peer-${count}`}`,
    `From: <sip:peer@127.0.0.1>;tag=${writing.fromTag ?? 'peer'}`,
    `To: <sip:200@127.0.0.1>${toTag}`,
    `Call-ID: ${writing.callId ?? `call-${count}`}`,
    `CSeq: ${writing.cseq ?? 1} ${method}`,
    ...(writing.contact === false ? [] : [`Contact: ${peer.contact}`]),
    `Max-Forwards: ${writing.maxForwards ?? 70}`,
    ...(writing.headers ?? []),
    ...(body === '' ? [] : [`Content-Type: ${writing.type ?? 'application/sdp'}`]),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

/** A response of the peer to a request that it received. */
export function response(
  peer: Peer,
  to: Received,
  status: number,
  {
    toTag = 'answerer',
    headers = [],
    body = '',
    contact = true,
  }: Omit<Writing, 'contact'> & { contact?: boolean } = {},
): string {
  const copied = to.headers.filter(({ key }) =>
    ['via', 'from', 'call-id', 'cseq', 'record-route'].includes(key),
  );
  const original = headerOf(to, 'to') ?? '';
  return [
    `SIP/2.0 ${status} Whatever`,
    ...copied.map(({ name, value }) => `${name}: ${value}`),
    `To: ${original}${to.to.params.has('tag') || status === 100 ? '' : `;tag=${toTag}`}`,
    ...(contact ? [`Contact: ${peer.contact}`] : []),
    ...headers,
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}
