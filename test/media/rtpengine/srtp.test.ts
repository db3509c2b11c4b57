/** SRTP with far ends on the plane that is rtpengine: the server has the keys, ours is the telephone. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { CallId } from '../../../config/units.ts';
import { decodeBatch } from '../../../media/fork/batch.ts';
import { SdpRefused } from '../../../media/plane.ts';
import { encodeAll } from '../../../media/prompts/encoded.ts';
import { NgClient } from '../../../media/rtpengine/ng.ts';
import { NgIncomplete } from '../../../media/rtpengine/ng-call.ts';
import { openRtpengine, type RtpenginePlane } from '../../../media/rtpengine/rtpengine.ts';
import { SrtpGateway } from '../../../media/rtpengine/srtp-gateway.ts';
import { MasterKey } from '../../../media/srtp/keys.ts';
import { SrtpReceiver, SrtpSender } from '../../../media/srtp/srtp.ts';
import { suites, type SuiteName } from '../../../media/srtp/suites.ts';
import { rtpPacket } from '../../peers/pcap.ts';
import { RtpengineUnderTest } from '../../peers/rtpengine.ts';
import { fakeEngine } from './fake-engine.ts';

const call = 'call-1' as CallId;
const never = new AbortController().signal;
const anySuite: SuiteName = 'AES_CM_128_HMAC_SHA1_80';

interface Keys {
  suite: SuiteName;
  tag: number;
  /** What this telephone sends with. */
  own: Buffer;
}

/** A telephone that speaks RTP, or SRTP once it has keys both ways. */
async function telephone() {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  const heard: number[] = [];
  let sender: SrtpSender | undefined;
  let receiver: SrtpReceiver | undefined;
  let sequence = 65_500;
  const ssrc = port;
  socket.on('message', (packet) => {
    const bytes = new Uint8Array(packet);
    const length = receiver === undefined ? bytes.length : receiver.unprotect(bytes, bytes.length);
    if (length >= 12) heard.push(bytes[12]!);
  });
  return {
    heard,
    /** Its description; with keys as RTP/SAVP. */
    sdp(keys?: Keys, protocol = keys === undefined ? 'RTP/AVP' : 'RTP/SAVP'): string {
      const crypto =
        keys === undefined
          ? ''
          : `a=crypto:${keys.tag} ${keys.suite} inline:${keys.own.toString('base64')}\r\n`;
      return `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} ${protocol} 8\r\na=rtpmap:8 PCMA/8000\r\n${crypto}`;
    },
    /** From now on it sends with its key and hears with that of a description of ours. */
    secure({ suite, own }: Keys, ours: string): void {
      const key = new RegExp(String.raw`^a=crypto:\d+ ${suite} inline:(\S+)`, 'mu').exec(ours)![1]!;
      sender = new SrtpSender({ suite: suites[suite], key: MasterKey.take(Buffer.from(own)), mkiBytes: 0 });
      receiver = new SrtpReceiver({
        suite: suites[suite],
        key: MasterKey.take(Buffer.from(key, 'base64')),
        mkiBytes: 0,
      });
    },
    say(to: number, byte: number): void {
      sequence += 1;
      const payload = new Uint8Array(160).fill(byte);
      const packet = new Uint8Array(256);
      packet.set(
        rtpPacket({
          type: 8,
          marker: false,
          sequence: sequence & 0xffff,
          timestamp: sequence * 160,
          ssrc,
          payload,
        }),
      );
      const length = sender === undefined ? 172 : sender.protect(packet, 172);
      socket.send(packet.subarray(0, length), to, '127.0.0.1');
    },
    [Symbol.asyncDispose]: async () => void socket.close(),
  };
}

type Telephone = Awaited<ReturnType<typeof telephone>>;

const portOf = (description: string): number => Number(/m=audio (\d+)/u.exec(description)![1]);

function keys(suite: SuiteName = anySuite, tag = 1, byte = 0x5a): Keys {
  const { keyBytes, saltBytes } = suites[suite];
  return { suite, tag, own: Buffer.alloc(keyBytes + saltBytes, byte) };
}

/** The keys with which a telephone answers an offer of ours: those of the suite, under the tag that it has there. */
function keysFor(offer: string, suite: SuiteName, byte = 0x33): Keys {
  const tag = Number(new RegExp(String.raw`^a=crypto:(\d+) ${suite} `, 'mu').exec(offer)![1]);
  return keys(suite, tag, byte);
}

async function openPlane(engine: RtpengineUnderTest): Promise<RtpenginePlane> {
  return openRtpengine({ servers: [{ ...engine.address, weight: 1 }], address: '127.0.0.1', pingMs: 50 });
}

/** One hears what the other says, in order: more than a wrap of its sequence numbers. */
async function hears(listener: Telephone, speaker: Telephone, to: number): Promise<void> {
  listener.heard.length = 0;
  for (let turn = 0; turn < 50; turn++) {
    speaker.say(to, turn);
    await expect.poll(() => listener.heard.length, { interval: 2 }).toBe(turn + 1);
  }
  expect(listener.heard).toEqual(Array.from({ length: 50 }, (_, turn) => turn));
}

test.each(Object.keys(suites) as SuiteName[])(
  'a caller with %s hears the prompt and the agent, and is heard and copied in clear',
  async (suite) => {
    await using engine = await RtpengineUnderTest.start();
    await using plane = await openPlane(engine);
    await using caller = await telephone();
    await using agent = await telephone();
    await using session = await plane.open(call);
    const own = keys(suite, 7);
    const answer = await session.caller.answer(caller.sdp(own), undefined, 'accept');
    expect(answer).toContain('RTP/SAVP');
    expect([...answer.matchAll(/^a=crypto:(\d+) (\S+)/gmu)].map(([, ...said]) => said)).toEqual([
      ['7', suite],
    ]);
    caller.secure(own, answer);
    const samples = new Int16Array(8 * 200);
    const prompt = { name: 'test', hash: '00', durationMs: 200, encoded: encodeAll(samples) };
    expect(await session.caller.play(prompt, never)).toMatchObject({ complete: true });
    expect(caller.heard).toHaveLength(10);

    const offer = await session.agent.offer('sendrecv', 'accept');
    expect(offer).not.toContain('a=crypto');
    await session.agent.accept(agent.sdp());
    await session.connect();
    const copies: Uint8Array[] = [];
    const fork = await session.fork((batch) => copies.push(batch));
    await hears(agent, caller, portOf(answer));
    await hears(caller, agent, portOf(offer));
    await fork.stop();
    const said = copies.flatMap((batch) => decodeBatch(batch)).filter(({ side }) => side === 'caller');
    expect(said.map(({ rtp }) => rtp[12])).toEqual(Array.from({ length: 50 }, (_, turn) => turn));
  },
);

test('both far ends have keys, each its own suite, or the same one', async () => {
  await using engine = await RtpengineUnderTest.start();
  await using plane = await openPlane(engine);
  for (const suite of ['AEAD_AES_256_GCM', anySuite] as const) {
    await using caller = await telephone();
    await using agent = await telephone();
    await using session = await plane.open(call);
    const callers = keys();
    const answer = await session.caller.answer(caller.sdp(callers), undefined, 'require');
    caller.secure(callers, answer);
    const offer = await session.agent.offer('sendrecv', 'require');
    expect(offer).toContain('RTP/SAVP');
    const agents = keysFor(offer, suite);
    await session.agent.accept(agent.sdp(agents));
    agent.secure(agents, offer);
    await session.connect();
    await hears(agent, caller, portOf(answer));
    await hears(caller, agent, portOf(offer));
  }
});

test('a peer that is offered keys and takes none goes on in clear, where it may (RFC 8643)', async () => {
  await using engine = await RtpengineUnderTest.start();
  await using plane = await openPlane(engine);
  await using caller = await telephone();
  await using agent = await telephone();
  await using session = await plane.open(call);
  const answer = await session.caller.answer(caller.sdp(), undefined, 'accept');
  const offer = await session.agent.offer('sendrecv', 'offer');
  expect(offer).toMatch(/RTP\/AVP [\s\S]*a=crypto/u);
  await session.agent.accept(agent.sdp());
  await session.connect();
  await hears(agent, caller, portOf(answer));
  await hears(caller, agent, portOf(offer));
});

test('a far end that goes on with its key keeps ours; with another key it is given another; a re-offer that fails goes back', async () => {
  await using engine = await RtpengineUnderTest.start();
  await using plane = await openPlane(engine);
  await using caller = await telephone();
  await using agent = await telephone();
  await using session = await plane.open(call);
  const own = keys();
  const answer = await session.caller.answer(caller.sdp(own), undefined, 'accept');
  caller.secure(own, answer);
  const offer = await session.agent.offer();
  await session.agent.accept(agent.sdp());
  await session.connect();
  await hears(agent, caller, portOf(answer));
  const ourKey = (sdp: string): string => /inline:(\S+)/u.exec(sdp)![1]!;

  const again = await session.caller.answer(caller.sdp(own));
  expect([portOf(again), ourKey(again)]).toEqual([portOf(answer), ourKey(answer)]);
  await hears(agent, caller, portOf(answer));
  await hears(caller, agent, portOf(offer));

  const agreed = await session.snapshot();
  const other = await session.caller.answer(caller.sdp(keys(anySuite, 1, 0x11)));
  expect(ourKey(other)).not.toBe(ourKey(answer));
  await agreed.restore();
  await hears(agent, caller, portOf(answer));
  await hears(caller, agent, portOf(offer));

  const moved = keys(anySuite, 1, 0x22);
  const answered = await session.caller.answer(caller.sdp(moved));
  caller.secure(moved, answered);
  await hears(agent, caller, portOf(answered));
  await hears(caller, agent, portOf(offer));
});

test('no media without keys where they are required, none with them where they are off, none with keys told apart by an identifier', async () => {
  await using engine = await RtpengineUnderTest.start();
  await using plane = await openPlane(engine);
  await using caller = await telephone();
  await using session = await plane.open(call);
  await expect(session.caller.answer(caller.sdp(), undefined, 'require')).rejects.toThrow(SdpRefused);
  await expect(session.caller.answer(caller.sdp(keys()), undefined, 'off')).rejects.toThrow(SdpRefused);
  const marked = caller.sdp(keys()).replace(/(inline:\S+)/u, '$1|2^20|1:4');
  await expect(session.caller.answer(marked, undefined, 'accept')).rejects.toThrow(SdpRefused);
  await session.agent.offer('sendrecv', 'require');
  await expect(session.agent.accept(caller.sdp())).rejects.toThrow(SdpRefused);
});

test('a server that does not speak a suite, or changes the key that it told, carries no such call', async () => {
  let byte = 1;
  await using there = await telephone();
  await using engine = await fakeEngine(() => ({ result: 'ok', sdp: there.sdp(keys(anySuite, 1, byte++)) }));
  using server = new NgClient(engine.address);
  const gateway = await SrtpGateway.open(server, 'call', { address: '127.0.0.1', port: 9 }, 'signalled');
  expect(() => gateway.keyOf(suites.AEAD_AES_256_GCM)).toThrow(SdpRefused);
  const suite = suites[anySuite];
  const own = gateway.keyOf(suite);
  const theirs = MasterKey.take(keys().own);
  const codec = { name: 'PCMA', payloadType: 8, fmtp: undefined } as const;
  const far = { address: '127.0.0.1', port: 9, codec, event: undefined, direction: 'sendrecv' } as const;
  await expect(gateway.agree(far, { suite, tag: 1, own, theirs, mkiBytes: 0 })).rejects.toThrow(NgIncomplete);
  await gateway.end();
  expect(new Uint8Array(own.memory).every((each) => each === 0)).toBe(true);
});
