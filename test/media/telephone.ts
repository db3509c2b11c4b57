/** A telephone of RTP alone: a socket, what it heard, and how it speaks. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { rtpPacket } from '../peers/pcap.ts';

export interface Spoken {
  type?: number;
  payload?: Uint8Array;
  timestamp?: number;
  ssrc?: number;
}

export async function telephone(...maps: string[]) {
  const socket: Socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const heard: Buffer[] = [];
  socket.on('message', (packet) => heard.push(packet));
  const { port } = socket.address();
  const codecs = maps.length > 0 ? maps : ['8 PCMA/8000', '101 telephone-event/8000'];
  const types = codecs.map((map) => map.split(' ')[0]).join(' ');
  let sequence = 65_530;
  return {
    port,
    heard,
    sdp: [
      'v=0',
      'o=- 1 1 IN IP4 127.0.0.1',
      's=-',
      'c=IN IP4 127.0.0.1',
      't=0 0',
      `m=audio ${port} RTP/AVP ${types}`,
      ...codecs.map((map) => `a=rtpmap:${map}`),
      '',
    ].join('\r\n'),
    say(
      to: number,
      { type = 8, payload = new Uint8Array(160).fill(0xd5), timestamp, ssrc = 7 }: Spoken = {},
    ) {
      sequence = (sequence + 1) & 0xffff;
      const packet = rtpPacket({
        type,
        marker: false,
        sequence,
        timestamp: timestamp ?? sequence * 160,
        ssrc,
        payload,
      });
      socket.send(packet, to, '127.0.0.1');
    },
    async hears(count: number): Promise<void> {
      while (heard.length < count) await once(socket, 'message');
    },
    [Symbol.asyncDispose]: async () => void socket.close(),
  };
}

export type Telephone = Awaited<ReturnType<typeof telephone>>;

export function portOf(sdp: string): number {
  return Number(/m=audio (\d+)/u.exec(sdp)![1]);
}
