/** SRTP on one side and plain RTP on the other, with ffmpeg and rtpengine as the far ends that have the keys. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { CallId } from '../../../config/units.ts';
import { decodeBatch } from '../../../media/fork/batch.ts';
import { openRelay } from '../../../media/relay/relay.ts';
import { MasterKey } from '../../../media/srtp/keys.ts';
import { SrtpReceiver, SrtpSender } from '../../../media/srtp/srtp.ts';
import { suites, type SuiteName } from '../../../media/srtp/suites.ts';
import { freePort, freePortRange } from '../../peers/free-port.ts';
import { rtpPacket } from '../../peers/pcap.ts';
import { Program } from '../../peers/program.ts';
import { RtpengineUnderTest } from '../../peers/rtpengine.ts';

const call = 'call-1' as CallId;

async function telephone() {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const heard: Buffer[] = [];
  socket.on('message', (packet) => heard.push(packet));
  const { port } = socket.address();
  let sequence = 65_500;
  return {
    port,
    heard,
    sdp: sdp(port),
    say(to: number, byte: number) {
      sequence += 1;
      const payload = new Uint8Array(160).fill(byte);
      const timestamp = sequence * 160;
      socket.send(
        rtpPacket({ type: 8, marker: false, sequence, timestamp, ssrc: 7, payload }),
        to,
        '127.0.0.1',
      );
    },
    send: (to: number, bytes: Uint8Array) => void socket.send(bytes, to, '127.0.0.1'),
    async hears(count: number): Promise<void> {
      while (heard.length < count) await once(socket, 'message');
    },
    [Symbol.asyncDispose]: async () => void socket.close(),
  };
}

function sdp(port: number, more = '', proto = 'RTP/AVP'): string {
  return `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} ${proto} 8\r\na=rtpmap:8 PCMA/8000\r\n${more}`;
}

const portOf = (description: string): number => Number(/m=audio (\d+)/u.exec(description)![1]);
const payloadOf = (packet: Uint8Array): Uint8Array => packet.subarray(12);

async function relay() {
  return openRelay({ address: '127.0.0.1', ports: await freePortRange(40), workers: 1 });
}

test.each(['AES_CM_128_HMAC_SHA1_80', 'AES_CM_128_HMAC_SHA1_32'])(
  'what ffmpeg says under %s is heard in clear, and forked in clear',
  async (suite) => {
    await using plane = await relay();
    await using agent = await telephone();
    await using session = await plane.open(call);
    const key = Buffer.alloc(30, 0x5a).toString('base64');
    const from = await freePort();
    const offer = sdp(from, `a=crypto:1 ${suite} inline:${key}\r\n`, 'RTP/SAVP');
    const port = portOf(await session.caller.answer(offer, undefined, 'require'));
    await session.agent.offer();
    await session.agent.accept(agent.sdp);
    await session.connect();
    const copies: Uint8Array[] = [];
    const fork = await session.fork((batch) => copies.push(batch));
    const tone = 'sine=frequency=440:sample_rate=8000:duration=2';
    await using _ffmpeg = await Program.start(
      'ffmpeg',
      `-v error -re -f lavfi -i ${tone} -c:a pcm_alaw -payload_type 8 -f rtp -srtp_out_suite ${suite} -srtp_out_params ${key} srtp://127.0.0.1:${port}?localrtpport=${from}&pkt_size=172`.split(
        ' ',
      ),
    );
    await agent.hears(20);
    await fork.stop();
    const forked = copies.flatMap((batch) => decodeBatch(batch)).map(({ rtp }) => payloadOf(rtp));
    const { caller } = await session.statistics();
    expect(caller).toMatchObject({ packetsLost: 0 });
    // Of the short suite ffmpeg gives RTCP the short tag too; RFC 4568 section 6.2 asks for the long one there.
    const reports = suite.endsWith('32') ? 2 : 0;
    expect(plane.statistics().packetsDropped.unauthentic).toBeLessThanOrEqual(reports);
    // A tone in A-law has few values; what is enciphered has nearly all of them.
    for (const audio of [agent.heard.map(payloadOf), forked])
      expect(new Set(audio.slice(0, 15).flatMap((payload) => [...payload])).size).toBeLessThan(120);
  },
);

const offered: SuiteName[] = [
  'AEAD_AES_256_GCM',
  'AEAD_AES_128_GCM',
  'AES_256_CM_HMAC_SHA1_80',
  'AES_256_CM_HMAC_SHA1_32',
  'AES_CM_128_HMAC_SHA1_80',
  'AES_CM_128_HMAC_SHA1_32',
];

test('rtpengine and we understand each other in every suite, both ways, over a wrap of the sequence', async () => {
  await using rtpengine = await RtpengineUnderTest.start();
  for (const suite of offered) {
    await using plane = await relay();
    await using customer = await telephone();
    await using agent = await telephone();
    await using session = await plane.open(call);
    const ids = { 'call-id': suite, 'from-tag': 'a', flags: ['trust-address'], ICE: 'remove', DTLS: 'off' };
    const protocol = { 'transport-protocol': 'RTP/SAVP' };
    const theirs = await rtpengine.sdpOf({ command: 'offer', ...ids, ...protocol, sdp: customer.sdp });
    // As a far end would offer that has this suite only.
    const offer = theirs
      .split('\r\n')
      .filter((line) => !line.startsWith('a=crypto') || line.includes(` ${suite} `))
      .join('\r\n');
    expect(offer).toContain(suite);
    const answer = await session.caller.answer(offer, undefined, 'accept');
    const back = await rtpengine.sdpOf({ command: 'answer', ...ids, 'to-tag': 'b', sdp: answer });
    const agentPort = portOf(await session.agent.offer());
    await session.agent.accept(agent.sdp);
    await session.connect();
    for (let turn = 0; turn < 50; turn++) {
      customer.say(portOf(back), turn);
      await agent.hears(turn + 1);
    }
    for (let turn = 0; turn < 50; turn++) {
      agent.say(agentPort, 100 + turn);
      await customer.hears(turn + 1);
    }
    expect(agent.heard.map((packet) => packet[20])).toEqual(Array.from({ length: 50 }, (_, turn) => turn));
    expect(customer.heard.map((packet) => packet[20])).toEqual(
      Array.from({ length: 50 }, (_, turn) => 100 + turn),
    );
    expect(plane.statistics().packetsDropped.unauthentic).toBe(0);
    expect(suites[suite].name).toBe(suite);
  }
});

test('who has no key is not heard, and is counted', async () => {
  await using plane = await relay();
  await using customer = await telephone();
  await using agent = await telephone();
  await using session = await plane.open(call);
  const key = Buffer.alloc(30, 0x5a).toString('base64');
  const line = `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key}\r\n`;
  const port = portOf(await session.caller.answer(sdp(customer.port, line, 'RTP/SAVP'), undefined, 'accept'));
  await session.agent.offer();
  await session.agent.accept(agent.sdp);
  await session.connect();
  for (let turn = 0; turn < 5; turn++) customer.say(port, turn);
  await expect.poll(() => plane.statistics().packetsDropped.unauthentic).toBe(5);
  expect(agent.heard).toEqual([]);
});

test("latching follows the packets that have the key: who knows the address alone takes nobody's place", async () => {
  await using plane = openRelay({
    address: '127.0.0.1',
    ports: await freePortRange(40),
    workers: 1,
    latching: 'address',
  });
  // A telephone behind a NAT: what it signalled is held by an injector, and another one is at the same address.
  await using signalled = await telephone();
  await using injector = await telephone();
  await using phone = await telephone();
  await using agent = await telephone();
  await using session = await plane.open(call);
  const key = new Uint8Array(30).fill(0x5a);
  const line = `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${Buffer.from(key).toString('base64')}\r\n`;
  const offer = sdp(signalled.port, line, 'RTP/SAVP');
  const port = portOf(await session.caller.answer(offer, undefined, 'accept'));
  const agentPort = portOf(await session.agent.offer());
  await session.agent.accept(agent.sdp);
  await session.connect();
  for (const stranger of [injector, signalled]) stranger.say(port, 1);
  await expect.poll(() => plane.statistics().packetsDropped.unauthentic).toBe(2);

  using sender = new SrtpSender({
    suite: suites.AES_CM_128_HMAC_SHA1_80,
    key: MasterKey.take(key),
    mkiBytes: 0,
  });
  const speak = (sequence: number): void => {
    const payload = new Uint8Array(160).fill(2);
    const packet = new Uint8Array(256);
    packet.set(rtpPacket({ type: 8, marker: false, sequence, timestamp: sequence * 160, ssrc: 9, payload }));
    phone.send(port, packet.subarray(0, sender.protect(packet, 172)));
  };
  speak(1);
  await agent.hears(1);
  for (const stranger of [injector, signalled]) stranger.say(port, 1);
  speak(2);
  await agent.hears(2);
  agent.say(agentPort, 3);
  await phone.hears(1);
  expect(agent.heard.map((packet) => packet[20])).toEqual([2, 2]);
  expect([injector.heard, signalled.heard]).toEqual([[], []]);
});

test('a re-offer that fails goes back to the keys as they were, each way with its counter, after the numbers have wrapped', async () => {
  await using plane = await relay();
  await using customer = await telephone();
  await using agent = await telephone();
  await using session = await plane.open(call);
  const suite = suites.AES_CM_128_HMAC_SHA1_80;
  const offerOf = (key: Uint8Array): string =>
    sdp(
      customer.port,
      `a=crypto:1 ${suite.name} inline:${Buffer.from(key).toString('base64')}\r\n`,
      'RTP/SAVP',
    );
  const theirs = new Uint8Array(30).fill(0x5a);
  const answer = await session.caller.answer(offerOf(theirs), undefined, 'accept');
  const port = portOf(answer);
  const agentPort = portOf(await session.agent.offer());
  await session.agent.accept(agent.sdp);
  await session.connect();
  const ours = Buffer.from(/inline:(\S+)/u.exec(answer)![1]!, 'base64');
  using sender = new SrtpSender({ suite, key: MasterKey.take(theirs), mkiBytes: 0 });
  using receiver = new SrtpReceiver({ suite, key: MasterKey.take(ours), mkiBytes: 0 });

  // Jumps as long as a stream may make them wrap its 16 bits, wherever they began.
  const step = 2_900;
  let turn = 0;
  const cross = async (): Promise<void> => {
    turn += 1;
    const sequence = (40_000 + turn * step) & 0xffff;
    const fields = {
      type: 8,
      marker: false,
      sequence,
      timestamp: turn * 160,
      payload: new Uint8Array(160).fill(turn),
    };
    const packet = new Uint8Array(256);
    packet.set(rtpPacket({ ...fields, ssrc: 9 }));
    customer.send(port, packet.subarray(0, sender.protect(packet, 172)));
    await agent.hears(turn);
    agent.send(agentPort, rtpPacket({ ...fields, ssrc: 8 }));
    await customer.hears(turn);
    const heard = new Uint8Array(customer.heard.at(-1)!);
    expect(receiver.unprotect(heard, heard.length)).toBe(172);
    expect([agent.heard.at(-1)![20], heard[20]]).toEqual([turn, turn]);
  };
  while (turn < 65_536 / step + 2) await cross();
  const agreed = await session.snapshot();
  await session.caller.answer(offerOf(new Uint8Array(30).fill(0x11)));
  await agreed.restore();
  await cross();
  expect(plane.statistics().packetsDropped.unauthentic).toBe(0);
});
