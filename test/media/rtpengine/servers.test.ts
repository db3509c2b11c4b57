import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { CallId } from '../../../config/units.ts';
import { MediaUnavailable } from '../../../media/plane.ts';
import { encodeAll } from '../../../media/prompts/encoded.ts';
import type { Prompt } from '../../../media/prompts/prompt.ts';
import { openRtpengine, type RtpenginePlane } from '../../../media/rtpengine/rtpengine.ts';
import { freePort } from '../../peers/free-port.ts';
import { RtpengineUnderTest } from '../../peers/rtpengine.ts';
import { portOf, telephone } from '../../peers/telephone.ts';
import { fakeEngine } from './fake-engine.ts';

const call = (id: number): CallId => `call-${id}` as CallId;
const never = new AbortController().signal;
const prompt: Prompt = {
  name: 'test',
  hash: '00',
  durationMs: 2_000,
  encoded: encodeAll(new Int16Array(8 * 2_000)),
};
const base = { address: '127.0.0.1', pingMs: 50 };

async function allUp(plane: RtpenginePlane): Promise<void> {
  await expect.poll(() => plane.servers().every(({ up }) => up), { timeout: 10_000 }).toBe(true);
}

test('calls are spread by weight', async () => {
  await using heavy = await RtpengineUnderTest.start();
  await using light = await RtpengineUnderTest.start();
  await using plane = await openRtpengine({
    ...base,
    servers: [
      { ...heavy.address, weight: 3 },
      { ...light.address, weight: 1 },
    ],
  });
  await allUp(plane);
  await using sessions = new AsyncDisposableStack();
  for (let id = 0; id < 8; id++) sessions.use(await plane.open(call(id)));
  const openedAt = (engine: RtpengineUnderTest): number =>
    new Set(engine.output.match(/call-\d+-[0-9a-f]+/gu) ?? []).size;
  expect([openedAt(heavy), openedAt(light)]).toEqual([6, 2]);
});

test('a server that dies loses its calls, a prompt in the middle was not heard, and new calls go to the other', async () => {
  await using first = await RtpengineUnderTest.start();
  const otherPort = await freePort();
  await using caller = await telephone();
  await using plane = await openRtpengine({
    ...base,
    servers: [
      { ...first.address, weight: 1 },
      { host: '127.0.0.1', port: otherPort, weight: 1 },
    ],
  });
  await expect.poll(() => plane.servers()[0]!.up, { timeout: 10_000 }).toBe(true);
  await using session = await plane.open(call(1));
  await session.caller.answer(caller.sdp);
  const playing = session.caller.play(prompt, never);
  await caller.hears(5);
  const lost = once(session.lost, 'abort');
  await first.kill();
  expect((await playing).complete).toBe(false);
  await lost;
  await using _second = await RtpengineUnderTest.start([], otherPort);
  await expect.poll(() => plane.servers().map(({ up }) => up), { timeout: 10_000 }).toEqual([false, true]);
  await using other = await plane.open(call(2));
  expect(portOf(await other.caller.answer(caller.sdp))).toBeGreaterThan(0);
});

test('a server that was started anew has forgotten its calls, which are lost as soon as it is asked of them', async () => {
  const port = await freePort();
  const before = await RtpengineUnderTest.start([], port);
  await using plane = await openRtpengine({ ...base, servers: [{ host: '127.0.0.1', port, weight: 1 }] });
  await allUp(plane);
  await using session = await plane.open(call(1));
  await before.kill();
  await before[Symbol.asyncDispose]();
  await using _after = await RtpengineUnderTest.start([], port);
  await expect
    .poll(
      async () => {
        await session.statistics();
        return session.lost.aborted;
      },
      { timeout: 10_000 },
    )
    .toBe(true);
});

test('no server, no media: the call is told so', async () => {
  await using plane = await openRtpengine({
    ...base,
    servers: [{ host: '127.0.0.1', port: await freePort(), weight: 1 }],
  });
  await expect(plane.open(call(1))).rejects.toThrow(MediaUnavailable);
});

test('a server that cannot do what calls need is given none, and what that costs is said', async () => {
  const sdp =
    'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n';
  await using engine = await fakeEngine(({ message: { command } }) =>
    command === 'ping' ? { result: 'pong' } : { result: 'ok', sdp },
  );
  const said: (string | undefined)[] = [];
  await using plane = await openRtpengine({
    ...base,
    servers: [{ ...engine.address, weight: 1 }],
    onServer: ({ why }) => said.push(why),
  });
  await expect.poll(() => said, { timeout: 5_000 }).not.toEqual([]);
  expect(said[0]).toMatch(/carries no call.*are not recorded there/u);
  await expect(plane.open(call(1))).rejects.toThrow(MediaUnavailable);
});

test('when copies come no more, no refusal would be heard: the session is lost', async () => {
  await using engine = await RtpengineUnderTest.start();
  await using caller = await telephone();
  await using plane = await openRtpengine({ ...base, servers: [{ ...engine.address, weight: 1 }] });
  await allUp(plane);
  await using session = await plane.open(call(1));
  const port = portOf(await session.caller.answer(caller.sdp));
  const speak = async (upTo: number): Promise<void> => {
    for (let turn = 0; turn < 50; turn++) caller.say(port);
    await expect.poll(async () => (await session.statistics()).caller.packetsReceived).toBe(upTo);
  };
  await speak(50);
  expect(session.lost.aborted).toBe(false);
  const id = /call-1-[0-9a-f]+/u.exec(engine.output)![0];
  await engine.sdpOf({ command: 'unsubscribe', 'call-id': id, 'to-tag': 'tap-caller' });
  await speak(100);
  expect(session.lost.aborted).toBe(true);
});
