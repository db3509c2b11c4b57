/** Prompts, audio and keys in every codec: payload types, clocks and lengths as the far end must hear them. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { CallId } from '../../../config/units.ts';
import { encodeAll } from '../../../media/prompts/encoded.ts';
import type { Prompt } from '../../../media/prompts/prompt.ts';
import { openRelay } from '../../../media/relay/relay.ts';
import { freePortRange } from '../../peers/free-port.ts';
import { eventPayload, rtpPacket } from '../../peers/pcap.ts';

const call = 'call-1' as CallId;
const never = new AbortController().signal;
const samples = Int16Array.from({ length: 8 * 190 }, (_, at) => 6_000 * Math.sin(at / 3));
const prompt: Prompt = { name: 'test', hash: '00', durationMs: 190, encoded: encodeAll(samples) };

async function telephone(...maps: string[]) {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const heard: Buffer[] = [];
  socket.on('message', (packet) => heard.push(packet));
  const { port } = socket.address();
  const types = maps.map((map) => map.split(' ')[0]).join(' ');
  return {
    heard,
    sdp: `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP ${types}\r\n${maps.map((map) => `a=rtpmap:${map}\r\n`).join('')}`,
    say(to: number, type: number, payload: Uint8Array, timestamp: number) {
      socket.send(
        rtpPacket({ type, marker: false, sequence: timestamp & 0xffff, timestamp, ssrc: 7, payload }),
        to,
        '127.0.0.1',
      );
    },
    async hears(count: number): Promise<void> {
      while (heard.length < count) await once(socket, 'message');
    },
    [Symbol.asyncDispose]: async () => void socket.close(),
  };
}

const portOf = (sdp: string): number => Number(/m=audio (\d+)/u.exec(sdp)![1]);

async function relay() {
  return openRelay({ address: '127.0.0.1', ports: await freePortRange(40), workers: 1 });
}

test.each([
  ['PCMU', '0 PCMU/8000', 160, 160],
  ['G722', '9 G722/8000', 160, 160],
  ['OPUS', '111 opus/48000/2', 960, undefined],
] as const)('a prompt goes out in %s at its clock, whole', async (codec, map, ticks, bytes) => {
  await using plane = await relay();
  await using caller = await telephone(map);
  await using session = await plane.open(call);
  await session.caller.answer(caller.sdp);
  expect(session.caller.codec).toBe(codec);
  expect(await session.caller.play(prompt, never)).toEqual({ heardMs: 190, durationMs: 190, complete: true });
  await caller.hears(10);
  const frames = new Uint8Array(prompt.encoded[codec].bytes);
  expect(Buffer.concat(caller.heard.map((packet) => packet.subarray(12)))).toEqual(Buffer.from(frames));
  const timestamps = caller.heard.map((packet) => packet.readUInt32BE(4));
  for (let at = 1; at < 10; at++) expect((timestamps[at]! - timestamps[at - 1]!) >>> 0).toBe(ticks);
  for (const packet of caller.heard) {
    expect(packet[1]! & 0x7f).toBe(Number(map.split(' ')[0]));
    if (bytes !== undefined) expect(packet.length - 12).toBe(bytes);
  }
});

test('Opus passes under the number of each side, and a key counts its length by the clock of each side', async () => {
  await using plane = await relay();
  await using caller = await telephone('111 opus/48000/2', '110 telephone-event/48000');
  await using agent = await telephone('96 opus/48000/2', '101 telephone-event/8000');
  await using session = await plane.open(call);
  const port = portOf(await session.caller.answer(caller.sdp));
  const agentPort = portOf(await session.agent.offer());
  await session.agent.accept(agent.sdp);
  await session.connect();
  const [frame] = [new Uint8Array(prompt.encoded.OPUS.bytes).subarray(0, 40)];
  caller.say(port, 111, frame, 960);
  await agent.hears(1);
  caller.say(port, 110, eventPayload('5', false, 6 * 100), 1_920);
  await agent.hears(2);
  // In ticks of 8 kHz the agent says 100 ms: 800; in those of 48 kHz the caller hears 4,800.
  agent.say(agentPort, 111, frame, 960);
  await caller.hears(1);
  agent.say(agentPort, 110, eventPayload('7', false, 100), 1_920);
  await caller.hears(2);
  expect(agent.heard.map((packet) => packet[1]! & 0x7f)).toEqual([96, 101]);
  expect(agent.heard[0]!.subarray(12)).toEqual(Buffer.from(frame));
  expect(agent.heard[1]!.readUInt16BE(14)).toBe(800);
  expect(caller.heard.map((packet) => packet[1]! & 0x7f)).toEqual([111, 110]);
  expect(caller.heard[1]!.readUInt16BE(14)).toBe(4_800);
});
