/** What a call may ask of media, asked of both planes with real packets: the embedded relay and Debian's rtpengine. */
import { describe, expect, test } from 'vitest';
import type { CallId } from '../../config/units.ts';
import { encodePcma } from '../../media/codec/g711.ts';
import { decodeBatch } from '../../media/fork/batch.ts';
import { SdpRefused, type MediaPlane, type MediaSession, type PressedDigit } from '../../media/plane.ts';
import { encodeAll } from '../../media/prompts/encoded.ts';
import type { Prompt } from '../../media/prompts/prompt.ts';
import type { Latching } from '../../media/relay/messages.ts';
import { openRelay } from '../../media/relay/relay.ts';
import { openRtpengine } from '../../media/rtpengine/rtpengine.ts';
import { freePortRange } from '../peers/free-port.ts';
import { eventPayload } from '../peers/pcap.ts';
import { RtpengineUnderTest } from '../peers/rtpengine.ts';
import { portOf, telephone, type Telephone } from '../peers/telephone.ts';
import { dialled } from './dtmf/dual-tone.ts';

const call = 'call-1' as CallId;
const never = new AbortController().signal;
const samples = Int16Array.from({ length: 8 * 300 }, (_, at) => 6_000 * Math.sin(at / 3));
const prompt: Prompt = { name: 'test', hash: '00', durationMs: 300, encoded: encodeAll(samples) };

/** What a telephone says of itself when it speaks other codecs, each as its `rtpmap`. */
function speaking({ sdp }: Telephone, ...maps: string[]): string {
  const types = maps.map((map) => map.split(' ')[0]).join(' ');
  const described = sdp.slice(0, sdp.indexOf('8 101'));
  return `${described}${types}\r\n${maps.map((map) => `a=rtpmap:${map}\r\n`).join('')}`;
}

async function relay(latching: Latching = 'signalled'): Promise<MediaPlane> {
  return openRelay({ address: '127.0.0.1', ports: await freePortRange(100), workers: 1, latching });
}

async function rtpengine(latching: Latching = 'signalled'): Promise<MediaPlane> {
  await using starting = new AsyncDisposableStack();
  const engine = starting.use(await RtpengineUnderTest.start());
  const plane = starting.use(
    await openRtpengine({
      servers: [{ ...engine.address, weight: 1 }],
      address: '127.0.0.1',
      latching,
      pingMs: 50,
    }),
  );
  await expect.poll(() => plane.servers()[0]!.up, { timeout: 10_000 }).toBe(true);
  const held = starting.move();
  return {
    open: (id) => plane.open(id),
    statistics: () => plane.statistics(),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

describe.each([
  ['relay', relay],
  ['rtpengine', rtpengine],
] as const)('the media plane %s', (_name, openPlane) => {
  /** Both far ends have agreed; where each is to send. */
  async function agreed(session: MediaSession, caller: Telephone, agent: Telephone) {
    const callerPort = portOf(await session.caller.answer(caller.sdp));
    const agentPort = portOf(await session.agent.offer());
    await session.agent.accept(agent.sdp);
    return { callerPort, agentPort };
  }

  const received = async (session: MediaSession, side: 'caller' | 'agent', count: number): Promise<void> =>
    expect.poll(async () => (await session.statistics())[side].packetsReceived).toBe(count);

  test('tells a caller before an agent is there, to the end, and says so', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using session = await plane.open(call);
    await session.caller.answer(caller.sdp);
    expect(session.caller.codec).toBe('PCMA');
    expect(await session.caller.play(prompt, never)).toEqual({
      heardMs: 300,
      durationMs: 300,
      complete: true,
    });
    await caller.hears(15);
    const heard = Buffer.concat(caller.heard.map((packet) => packet.subarray(12)));
    expect(heard).toEqual(Buffer.from(new Uint8Array(prompt.encoded.PCMA.bytes)));
    expect(new Set(caller.heard.map((packet) => packet.readUInt32BE(8))).size).toBe(1);
  });

  test('a prompt that is cut short is not complete, and says how much was heard', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using session = await plane.open(call);
    await session.caller.answer(caller.sdp);
    const cut = new AbortController();
    const playing = session.caller.play(prompt, cut.signal);
    await caller.hears(5);
    cut.abort();
    const { complete, heardMs } = await playing;
    expect(complete).toBe(false);
    expect(heardMs).toBeGreaterThanOrEqual(100);
    expect(heardMs).toBeLessThan(300);
  });

  test('a prompt to a far end that holds us is not heard', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using session = await plane.open(call);
    await session.caller.answer(`${caller.sdp}a=sendonly\r\n`);
    expect(await session.caller.play(prompt, never)).toMatchObject({ heardMs: 0, complete: false });
    expect(caller.heard).toEqual([]);
  });

  /** What may come between the frames of a prompt, so that whoever is told has not heard it to its end where it began. */
  const cuts: [string, (session: MediaSession, caller: Telephone) => Promise<unknown>][] = [
    ['a hold', ({ caller }, { sdp }) => caller.answer(`${sdp}a=sendonly\r\n`)],
    [
      'a hold that is over at once',
      async ({ caller }, { sdp }) => {
        const held = caller.answer(`${sdp}a=inactive\r\n`);
        await Promise.all([held, caller.answer(sdp)]);
      },
    ],
    [
      'a re-INVITE to another port',
      ({ caller }, { sdp, port }) => caller.answer(sdp.replace(`audio ${port} `, `audio ${port + 2} `)),
    ],
    ['a change of codec', ({ caller }, { sdp }) => caller.answer(sdp.replace('RTP/AVP 8 ', 'RTP/AVP 0 '))],
    ['the end of the leg', async (session) => session[Symbol.asyncDispose]()],
  ];

  test.each(cuts)('a prompt is not heard where %s cuts it, at whatever frame', async (_, cut) => {
    await using plane = await openPlane();
    const cutAt = async (frame: number): Promise<unknown> => {
      await using caller = await telephone();
      await using session = await plane.open(`call-${frame}` as CallId);
      await session.caller.answer(caller.sdp);
      const playing = session.caller.play(prompt, never);
      if (frame > 0) await caller.hears(frame);
      await cut(session, caller);
      return await playing;
    };
    // All but the last: once it is sent, whether it was cut is a matter of a millisecond.
    const frames = Array.from({ length: prompt.durationMs / 20 - 1 }, (__, frame) => frame);
    for (const played of await Promise.all(frames.map(cutAt)))
      expect(played).toMatchObject({ complete: false });
  });

  test('a prompt that a refresh of the session falls into is heard to its end', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using session = await plane.open(call);
    await session.caller.answer(caller.sdp);
    const playing = session.caller.play(prompt, never);
    await caller.hears(5);
    await session.caller.answer(caller.sdp);
    expect(await playing).toMatchObject({ complete: true, heardMs: 300 });
  });

  test('the far ends hear each other when connected, and neither before nor after', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using agent = await telephone();
    await using session = await plane.open(call);
    const { callerPort, agentPort } = await agreed(session, caller, agent);
    caller.say(callerPort);
    agent.say(agentPort);
    await received(session, 'caller', 1);
    await received(session, 'agent', 1);
    expect([caller.heard.length, agent.heard.length]).toEqual([0, 0]);
    await session.connect();
    caller.say(callerPort);
    agent.say(agentPort);
    await Promise.all([caller.hears(1), agent.hears(1)]);
    await session.disconnect();
    caller.say(callerPort);
    agent.say(agentPort);
    await received(session, 'caller', 3);
    await received(session, 'agent', 3);
    expect([caller.heard.length, agent.heard.length]).toEqual([1, 1]);
  });

  test.each(['127.0.0.1', '127.0.0.3'])(
    'a stranger at %s hears nothing and is not heard',
    async (address) => {
      await using plane = await openPlane();
      await using caller = await telephone();
      await using agent = await telephone();
      await using stranger = await telephone(address);
      await using session = await plane.open(call);
      const { callerPort, agentPort } = await agreed(session, caller, agent);
      await session.connect();
      const copied: number[] = [];
      const fork = await session.fork((batch) => {
        for (const { rtp } of decodeBatch(batch)) copied.push(Buffer.from(rtp).readUInt32BE(8));
      });
      const inject = (): void => {
        for (let turn = 0; turn < 4; turn++) stranger.say(agentPort, { ssrc: 666 });
      };
      inject();
      agent.say(agentPort, { sequence: 1, ssrc: 5 });
      await caller.hears(1);
      inject();
      agent.say(agentPort, { sequence: 2, ssrc: 5 });
      await caller.hears(2);
      caller.say(callerPort);
      await agent.hears(1);
      expect(caller.heard).toHaveLength(2);
      expect(stranger.heard).toEqual([]);
      await fork.stop();
      expect(copied.toSorted()).toEqual([5, 5, 7]);
    },
  );

  test('a far end that sends from another port than it said is followed where the site says so', async () => {
    await using plane = await openPlane('address');
    await using caller = await telephone();
    await using agent = await telephone();
    await using stranger = await telephone('127.0.0.3');
    await using session = await plane.open(call);
    const callerPort = portOf(await session.caller.answer(caller.sdp));
    const agentPort = portOf(await session.agent.offer());
    await session.agent.accept(agent.sdp.replace(/m=audio \d+/u, 'm=audio 9'));
    await session.connect();
    agent.say(agentPort, { sequence: 1, ssrc: 5 });
    await caller.hears(1);
    await expect
      .poll(() => {
        caller.say(callerPort);
        return agent.heard.length;
      })
      .toBeGreaterThan(0);
    stranger.say(agentPort, { sequence: 2, ssrc: 666 });
    agent.say(agentPort, { sequence: 3, ssrc: 5 });
    await caller.hears(2);
    expect(caller.heard).toHaveLength(2);
    expect(stranger.heard).toEqual([]);
  });

  test('each side keeps its port through connect, hold and a new offer', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using agent = await telephone();
    await using moved = await telephone();
    await using session = await plane.open(call);
    const { callerPort, agentPort } = await agreed(session, caller, agent);
    await session.connect();
    expect(portOf(await session.caller.answer(`${caller.sdp}a=inactive\r\n`))).toBe(callerPort);
    expect(portOf(await session.agent.offer())).toBe(agentPort);
    expect(portOf(await session.caller.answer(moved.sdp))).toBe(callerPort);
    agent.say(agentPort);
    await moved.hears(1);
    moved.say(callerPort);
    await agent.hears(1);
    expect(caller.heard).toEqual([]);
  });

  test('a far end told while connected hears the prompt alone, and the other again after', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using agent = await telephone();
    await using session = await plane.open(call);
    const { agentPort } = await agreed(session, caller, agent);
    await session.connect();
    const telling = session.caller.play(prompt, never);
    await caller.hears(3);
    agent.say(agentPort, { payload: new Uint8Array(160).fill(1) });
    expect((await telling).complete).toBe(true);
    await caller.hears(15);
    const said = (packet: Buffer): boolean => packet.subarray(12).every((byte) => byte === 1);
    expect(caller.heard.filter(said)).toEqual([]);
    agent.say(agentPort, { payload: new Uint8Array(160).fill(1) });
    await caller.hears(16);
    expect(caller.heard.filter(said)).toHaveLength(1);
  });

  test('a key is heard once, at its first packet, also before anybody listens and while a prompt plays', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using session = await plane.open(call);
    const port = portOf(await session.caller.answer(caller.sdp));
    const press = (digit: string, durationMs: number, timestamp: number): void =>
      caller.say(port, { type: 101, payload: eventPayload(digit, false, durationMs), timestamp });
    press('2', 20, 5_000);
    press('2', 40, 5_000);
    await received(session, 'caller', 2);
    await expect.poll(async () => (await session.statistics()).caller.lastPacketAt).toBeDefined();
    const pressed: PressedDigit[] = [];
    using _listening = session.caller.onDigit((digit) => pressed.push(digit));
    await expect.poll(() => pressed.map(({ digit }) => digit)).toEqual(['2']);
    const telling = session.caller.play(prompt, never);
    await caller.hears(1);
    press('#', 20, 9_000);
    await expect.poll(() => pressed.map(({ digit }) => digit)).toEqual(['2', '#']);
    expect((await telling).complete).toBe(true);
  });

  test('keys of a far end without telephone-event are heard as tones, each once', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using session = await plane.open(call);
    const port = portOf(await session.caller.answer(speaking(caller, '8 PCMA/8000')));
    const pressed: PressedDigit[] = [];
    using _listening = session.caller.onDigit((digit) => pressed.push(digit));
    const tones = { onMs: 80, offMs: 80, lowDbm0: -10, highDbm0: -8 };
    const audio = encodePcma(dialled(['2', '2', '#'], tones, () => 0.5));
    for (let at = 0; at < audio.length; at += 160) {
      caller.say(port, { payload: audio.subarray(at, at + 160), timestamp: 90_000 + at });
      // One after the other, as on a line: rtpengine's threads hand on a burst in any order.
      await expect
        .poll(async () => (await session.statistics()).caller.packetsReceived, { interval: 2 })
        .toBe(at / 160 + 1);
    }
    await expect.poll(() => pressed.map(({ digit }) => digit)).toEqual(['2', '2', '#']);
  });

  test('a fork has every packet of both sides from its start on, none from before, none while paused, none after', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using agent = await telephone();
    await using session = await plane.open(call);
    const { callerPort, agentPort } = await agreed(session, caller, agent);
    await session.connect();
    const marked = (mark: number) => ({ payload: new Uint8Array(160).fill(mark) });
    const say = async (mark: number, upTo: number): Promise<void> => {
      caller.say(callerPort, marked(mark));
      agent.say(agentPort, marked(mark + 100));
      await received(session, 'caller', upTo);
      await received(session, 'agent', upTo);
      await caller.hears(upTo);
      await agent.hears(upTo);
    };
    const copies: Uint8Array[] = [];
    await say(1, 1);
    const fork = await session.fork((batch) => copies.push(batch));
    await say(2, 2);
    await fork.pause();
    await say(3, 3);
    await fork.resume();
    await say(4, 4);
    const totals = await fork.stop();
    await say(5, 5);
    const packets = copies.flatMap((batch) => decodeBatch(batch));
    const of = (side: string): number[] =>
      packets.filter((packet) => packet.side === side).map(({ rtp }) => rtp[12]!);
    expect(of('caller')).toEqual([2, 4]);
    expect(of('agent')).toEqual([102, 104]);
    expect(packets.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3]);
    expect(totals.packets).toEqual({ caller: 2, agent: 2 });
    expect(
      packets.every(({ arrivedAt }) => arrivedAt >= fork.startedAt && arrivedAt <= totals.stoppedAt),
    ).toBe(true);
  });

  test('G.711 of one law reaches a far end that speaks the other', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using agent = await telephone();
    await using session = await plane.open(call);
    const callerPort = portOf(await session.caller.answer(caller.sdp));
    const agentPort = portOf(await session.agent.offer());
    await session.agent.accept(speaking(agent, '0 PCMU/8000', '101 telephone-event/8000'));
    await session.connect();
    // Media of rtpengine that is converted comes when the next packet is there.
    for (let turn = 0; turn < 3; turn++) {
      caller.say(callerPort, { timestamp: 160 * turn });
      agent.say(agentPort, { type: 0, payload: new Uint8Array(160).fill(0xff), timestamp: 160 * turn });
    }
    await Promise.all([caller.hears(1), agent.hears(1)]);
    expect(agent.heard[0]![1]! & 0x7f).toBe(0);
    expect(caller.heard[0]![1]! & 0x7f).toBe(8);
    // The smallest step up, and nought (G.711 tables 1a and 2a).
    expect(new Set(agent.heard[0]!.subarray(12))).toEqual(new Set([0xfe]));
    expect(new Set(caller.heard[0]!.subarray(12))).toEqual(new Set([0xd5]));
  });

  test.each([
    ['G722', '9 G722/8000'],
    ['OPUS', '111 opus/48000/2'],
  ] as const)('a prompt goes out in %s', async (codec, map) => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using session = await plane.open(call);
    await session.caller.answer(speaking(caller, map));
    expect(session.caller.codec).toBe(codec);
    expect((await session.caller.play(prompt, never)).complete).toBe(true);
    await caller.hears(15);
    const heard = Buffer.concat(caller.heard.map((packet) => packet.subarray(12)));
    expect(heard).toEqual(Buffer.from(new Uint8Array(prompt.encoded[codec].bytes)));
    expect(caller.heard.every((packet) => (packet[1]! & 0x7f) === Number(map.split(' ')[0]))).toBe(true);
  });

  test('an offer that failed leaves media as it was', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using agent = await telephone();
    await using elsewhere = await telephone();
    await using session = await plane.open(call);
    const { agentPort } = await agreed(session, caller, agent);
    await session.connect();
    const before = await session.snapshot();
    await session.caller.answer(elsewhere.sdp);
    await before.restore();
    agent.say(agentPort);
    await caller.hears(1);
    expect(elsewhere.heard).toEqual([]);
  });

  test('what cannot be anchored is refused, and media stays as it was', async () => {
    await using plane = await openPlane();
    await using caller = await telephone();
    await using session = await plane.open(call);
    await session.caller.answer(caller.sdp);
    await expect(session.caller.answer('v=0\r\nm=video 9 RTP/AVP 96\r\n')).rejects.toThrow(SdpRefused);
    expect((await session.caller.play(prompt, never)).complete).toBe(true);
  });

  test('a session that is over is gone from the count', async () => {
    await using plane = await openPlane();
    const session = await plane.open(call);
    expect(plane.statistics().sessions).toBe(1);
    await session[Symbol.asyncDispose]();
    expect(plane.statistics().sessions).toBe(0);
  });
});
