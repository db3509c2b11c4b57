/** A telephone of the tests' own hand: an RTP socket and one for RTCP, what they heard, and how they speak. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { freePortRange } from './free-port.ts';
import { rtpPacket } from './pcap.ts';

export interface Spoken {
  type?: number;
  payload?: Uint8Array;
  timestamp?: number;
  ssrc?: number;
  sequence?: number;
  marker?: boolean;
}

export interface Telephone extends AsyncDisposable {
  readonly port: number;
  /** RTP packets that arrived. */
  readonly heard: Buffer[];
  readonly rtcpHeard: Buffer[];
  /** Its offer or answer: A-law and keys. */
  readonly sdp: string;
  /** Sends an A-law packet, one sequence number after the last. */
  say(to: number, spoken?: Spoken): void;
  /** Sends bytes as they are; to an odd port from the RTCP socket. */
  send(to: number, bytes: Uint8Array): void;
  hears(count: number): Promise<void>;
  hearsRtcp(count: number): Promise<void>;
}

export async function telephone(address = '127.0.0.1'): Promise<Telephone> {
  const { min: port } = await freePortRange(2);
  const family = address.includes(':') ? 'udp6' : 'udp4';
  const rtp = createSocket(family);
  const rtcp = createSocket(family);
  const heard = await listen(rtp, port, address);
  const rtcpHeard = await listen(rtcp, port + 1, address);
  const relay = family === 'udp6' ? '::1' : '127.0.0.1';
  const network = family === 'udp6' ? 'IP6' : 'IP4';
  let sequence = 65_530;
  return {
    port,
    heard,
    rtcpHeard,
    sdp:
      `v=0\r\no=- 1 1 IN ${network} ${address}\r\ns=-\r\nc=IN ${network} ${address}\r\nt=0 0\r\n` +
      `m=audio ${port} RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n`,
    say(to, spoken = {}) {
      sequence = spoken.sequence ?? sequence + 1;
      const { type = 8, payload = new Uint8Array(160).fill(0xd5), ssrc = 7, marker = false } = spoken;
      const timestamp = spoken.timestamp ?? sequence * 160;
      rtp.send(rtpPacket({ type, marker, sequence, timestamp, ssrc, payload }), to, relay);
    },
    send(to, bytes) {
      (to % 2 === 0 ? rtp : rtcp).send(bytes, to, relay);
    },
    async hears(count) {
      while (heard.length < count) await once(rtp, 'message');
    },
    async hearsRtcp(count) {
      while (rtcpHeard.length < count) await once(rtcp, 'message');
    },
    [Symbol.asyncDispose]: async () => {
      rtp.close();
      rtcp.close();
    },
  };
}

async function listen(socket: Socket, port: number, address: string): Promise<Buffer[]> {
  const heard: Buffer[] = [];
  socket.on('message', (packet) => heard.push(packet));
  socket.bind(port, address);
  await once(socket, 'listening');
  return heard;
}

export function portOf(sdp: string): number {
  return Number(/m=audio (\d+)/u.exec(sdp)![1]);
}
