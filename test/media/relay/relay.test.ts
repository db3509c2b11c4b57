import { expect, test } from 'vitest';
import type { CallId } from '../../../config/units.ts';
import { decodeBatch } from '../../../media/fork/batch.ts';
import { MediaUnavailable, type PressedDigit } from '../../../media/plane.ts';
import { encodeAll } from '../../../media/prompts/encoded.ts';
import type { Prompt } from '../../../media/prompts/prompt.ts';
import { openRelay } from '../../../media/relay/relay.ts';
import { freePortRange } from '../../peers/free-port.ts';
import { eventPayload } from '../../peers/pcap.ts';
import { portOf, telephone } from '../../peers/telephone.ts';
import { Capture } from '../../peers/tshark.ts';

const call = 'call-1' as CallId;
const never = new AbortController().signal;
const silence = new Int16Array(8 * 300);
const prompt: Prompt = {
  name: 'test',
  hash: '00',
  durationMs: 300,
  encoded: encodeAll(silence),
};

async function relay() {
  return openRelay({ address: '127.0.0.1', ports: await freePortRange(40), workers: 1 });
}

test('a side hears one stream from prompt to talk: one SSRC, no hole in the sequence, by the judgement of tshark', async () => {
  await using plane = await relay();
  await using caller = await telephone();
  await using agent = await telephone();
  await using session = await plane.open(call);
  await using capture = await Capture.start(`udp port ${caller.port}`);
  const callerPort = portOf(await session.caller.answer(caller.sdp));
  const agentPort = portOf(await session.agent.offer());
  await session.agent.accept(agent.sdp);
  expect(await session.caller.play(prompt, never)).toEqual({ heardMs: 300, durationMs: 300, complete: true });
  await session.connect();
  for (let turn = 0; turn < 5; turn++) agent.say(agentPort);
  await caller.hears(20);
  for (let turn = 0; turn < 5; turn++)
    agent.say(agentPort, { ssrc: 99, timestamp: 4_000_000_000 + turn * 160 });
  await caller.hears(25);
  caller.say(callerPort);
  await agent.hears(1);
  await capture.stop();
  const [stream, ...others] = (await capture.rtpStreams()).filter(
    ({ destination }) => destination.port === caller.port,
  );
  expect(others).toEqual([]);
  expect(stream).toMatchObject({ payload: 'g711A', packets: 25, lost: 0 });
});

test('a prompt that is cut short says how much was heard, and is not complete', async () => {
  await using plane = await relay();
  await using caller = await telephone();
  await using session = await plane.open(call);
  await session.caller.answer(caller.sdp);
  const cut = new AbortController();
  const playing = session.caller.play(prompt, cut.signal);
  await caller.hears(5);
  cut.abort();
  const played = await playing;
  expect(played.complete).toBe(false);
  expect(played.heardMs).toBeGreaterThanOrEqual(100);
  expect(played.heardMs).toBeLessThan(300);
});

test('a prompt to a far end that holds us is not heard', async () => {
  await using plane = await relay();
  await using caller = await telephone();
  await using session = await plane.open(call);
  await session.caller.answer(`${caller.sdp}a=sendonly\r\n`);
  expect(await session.caller.play(prompt, never)).toMatchObject({ heardMs: 0, complete: false });
});

test('a key is heard once, also before anybody listens, and is not handed on when the sides are joined in its middle', async () => {
  await using plane = await relay();
  await using caller = await telephone();
  await using agent = await telephone();
  await using session = await plane.open(call);
  const port = portOf(await session.caller.answer(caller.sdp));
  await session.agent.offer();
  await session.agent.accept(agent.sdp);
  const press = (durationMs: number, end: boolean): void =>
    caller.say(port, { type: 101, payload: eventPayload('2', end, durationMs), timestamp: 5_000 });
  press(20, false);
  press(40, false);
  // Each command is answered by the worker after what came before it.
  await expect.poll(async () => (await session.statistics()).caller.packetsReceived).toBe(2);
  const pressed: PressedDigit[] = [];
  using _listening = session.caller.onDigit((digit) => pressed.push(digit));
  expect(pressed.map(({ digit }) => digit)).toEqual(['2']);
  await session.connect();
  press(60, true);
  caller.say(port);
  await agent.hears(1);
  expect(agent.heard.map((packet) => packet[1]! & 0x7f)).toEqual([8]);
  expect(pressed).toHaveLength(1);
});

test('a stranger is not heard, hears nothing, and is counted', async () => {
  await using plane = await relay();
  await using caller = await telephone();
  await using agent = await telephone();
  await using stranger = await telephone();
  await using session = await plane.open(call);
  const callerPort = portOf(await session.caller.answer(caller.sdp.replaceAll('127.0.0.1', '127.0.0.2')));
  const agentPort = portOf(await session.agent.offer());
  await session.agent.accept(agent.sdp);
  await session.connect();
  // Another address than the one in the SDP, from the first packet on.
  for (let turn = 0; turn < 4; turn++) stranger.say(callerPort);
  await expect.poll(() => plane.statistics().packetsDropped['wrong-source']).toBe(4);
  agent.say(agentPort);
  await expect.poll(async () => (await session.statistics()).agent.packetsReceived).toBe(1);
  // Another port, once the true one is known.
  for (let turn = 0; turn < 4; turn++) stranger.say(agentPort);
  agent.say(agentPort);
  await expect.poll(async () => (await session.statistics()).agent.packetsReceived).toBe(2);
  expect(stranger.heard).toEqual([]);
  expect((await session.statistics()).caller.packetsReceived).toBe(0);
});

test('a fork has every packet from its start on and none from before, none while paused, none after its stop', async () => {
  await using plane = await relay();
  await using caller = await telephone();
  await using session = await plane.open(call);
  const port = portOf(await session.caller.answer(caller.sdp));
  const received = async (count: number): Promise<void> =>
    expect.poll(async () => (await session.statistics()).caller.packetsReceived).toBe(count);
  const say = async (times: number, upTo: number): Promise<void> => {
    for (let turn = 0; turn < times; turn++) caller.say(port);
    await received(upTo);
  };
  const copies: Uint8Array[] = [];
  await say(3, 3);
  const fork = await session.fork((batch) => copies.push(batch));
  await say(4, 7);
  await fork.pause();
  await say(5, 12);
  await fork.resume();
  await say(2, 14);
  const totals = await fork.stop();
  await say(3, 17);
  const packets = copies.flatMap((batch) => decodeBatch(batch));
  expect(packets.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(totals.packets).toEqual({ caller: 6, agent: 0 });
  expect(packets.every(({ arrivedAt }) => arrivedAt >= fork.startedAt && arrivedAt <= totals.stoppedAt)).toBe(
    true,
  );
});

test('ports are given out in even pairs, rest after their call, and run out without breaking anything', async () => {
  const ports = await freePortRange(8);
  await using plane = openRelay({ address: '127.0.0.1', ports, workers: 1 });
  const first = await plane.open(call);
  const used = [portOf(await first.caller.offer()), portOf(await first.agent.offer())];
  expect(used.every((port) => port % 2 === 0)).toBe(true);
  await first[Symbol.asyncDispose]();
  await using _second = await plane.open(call);
  await expect(plane.open(call)).rejects.toThrow(MediaUnavailable);
  expect(plane.statistics().sessions).toBe(1);
});
