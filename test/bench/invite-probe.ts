/**
 * One socket that is a caller and a PBX at once: it sends INVITEs to Tacet as a trunk, receives those that Tacet sends
 * on, and tells the time between the two on one clock. Each probe call is answered 486 and is over.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

export interface InviteProbe extends AsyncDisposable {
  readonly port: number;
  /** Sends one INVITE to Tacet; resolves with milliseconds until it came out at the other side, undefined when lost. */
  probe(target: { port: number }, called: string): Promise<number | undefined>;
}

export async function openInviteProbe(): Promise<InviteProbe> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  const waiting = new Map<string, (at: number) => void>();
  let counter = 0;

  socket.on('message', (bytes, from) => {
    const at = performance.now();
    const message = bytes.toString('latin1');
    const [first = ''] = message.split('\r\n', 1);
    if (first.startsWith('INVITE ')) {
      const id = headerOf(message, 'x-probe');
      if (id !== undefined) waiting.get(id)?.(at);
      socket.send(answerTo(message, '486 Busy Here'), from.port, from.address);
    } else if (/^SIP\/2\.0 [3-6]/u.test(first) && headerOf(message, 'cseq')?.endsWith('INVITE') === true) {
      socket.send(acknowledge(message), from.port, from.address);
    }
  });

  return {
    port,
    async probe(target, called) {
      const id = `p${++counter}`;
      const arrived = Promise.withResolvers<number | undefined>();
      waiting.set(id, arrived.resolve);
      const timer = setTimeout(() => arrived.resolve(undefined), 2_000);
      const sentAt = performance.now();
      socket.send(invite(id, called, port, target.port), target.port, '127.0.0.1');
      const at = await arrived.promise;
      clearTimeout(timer);
      waiting.delete(id);
      return at === undefined ? undefined : at - sentAt;
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

function invite(id: string, called: string, port: number, target: number): string {
  const sdp = `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n`;
  return [
    `INVITE sip:${called}@127.0.0.1:${target} SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK-probe-${id}`,
    'Max-Forwards: 70',
    `From: <sip:probe@127.0.0.1:${port}>;tag=${id}`,
    `To: <sip:${called}@127.0.0.1:${target}>`,
    `Call-ID: ${id}@probe`,
    'CSeq: 1 INVITE',
    `Contact: <sip:probe@127.0.0.1:${port}>`,
    `X-Probe: ${id}`,
    'Content-Type: application/sdp',
    `Content-Length: ${sdp.length}`,
    '',
    sdp,
  ].join('\r\n');
}

function headerOf(message: string, name: string): string | undefined {
  const line = message.split('\r\n').find((each) => each.toLowerCase().startsWith(`${name}:`));
  return line?.slice(name.length + 1).trim();
}

function linesOf(message: string, names: string[]): string[] {
  return message.split('\r\n').filter((line) => names.includes(line.split(':', 1)[0]!.toLowerCase()));
}

function answerTo(request: string, status: string): string {
  const copied = linesOf(request, ['via', 'from', 'call-id', 'cseq']);
  return [
    `SIP/2.0 ${status}`,
    ...copied,
    `To: ${headerOf(request, 'to') ?? ''};tag=b`,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}

function acknowledge(response: string): string {
  const copied = linesOf(response, ['via', 'from', 'to', 'call-id']);
  return [
    'ACK sip:probe SIP/2.0',
    ...copied,
    'Max-Forwards: 70',
    'CSeq: 1 ACK',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}
