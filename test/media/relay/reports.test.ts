/** RTCP and comfort noise where a far end does it its own way. */
import { expect, test } from 'vitest';
import { encodeAll } from '../../../media/prompts/encoded.ts';
import { telephone } from '../../peers/telephone.ts';
import { compound, fieldsOf, joined } from './joined.ts';

test('RTCP goes where a far end says that it is (RFC 3605), and is taken from there alone', async () => {
  await using elsewhere = await telephone('127.0.0.4');
  await using pair = await joined({
    callerSdp: (sdp) => `${sdp}a=rtcp:${elsewhere.port + 1} IN IP4 127.0.0.4\r\n`,
  });
  const { caller, agent, callerPort, agentPort } = pair;
  agent.send(agentPort + 1, compound(88, 7, 160));
  await elsewhere.hearsRtcp(1);
  caller.send(callerPort + 1, compound(66, 8, 160));
  elsewhere.send(callerPort + 1, compound(77, 8, 160));
  await agent.hearsRtcp(1);
  expect([caller.rtcpHeard.length, agent.rtcpHeard.length]).toEqual([0, 1]);
});

test('a sender report counts all that our stream held: the prompt, and each source after it', async () => {
  await using pair = await joined();
  const { caller, agent, agentPort, session } = pair;
  const prompt = {
    name: 'test',
    hash: '00',
    durationMs: 100,
    encoded: encodeAll(new Int16Array(8 * 100)),
  };
  await session.caller.play(prompt, new AbortController().signal);
  const report = async (count: number): Promise<number[]> => {
    // Its own count is of its own packets only.
    agent.send(agentPort + 1, compound(5, 7, 160));
    await caller.hearsRtcp(count);
    return [20, 24].map((at) => caller.rtcpHeard.at(-1)!.readUInt32BE(at));
  };
  for (let turn = 0; turn < 3; turn++) agent.say(agentPort, { ssrc: 5 });
  await caller.hears(8);
  expect(await report(1)).toEqual([8, 8 * 160]);
  for (const bytes of [80, 240]) agent.say(agentPort, { ssrc: 6, payload: new Uint8Array(bytes) });
  await caller.hears(10);
  expect(await report(2)).toEqual([10, 10 * 160]);
});

test('a report says how far a far end was heard in its own numbers, over a prompt and a wrap', async () => {
  await using pair = await joined();
  const { caller, agent, callerPort, agentPort, session } = pair;
  const prompt = {
    name: 'test',
    hash: '00',
    durationMs: 100,
    encoded: encodeAll(new Int16Array(8 * 100)),
  };
  await session.caller.play(prompt, new AbortController().signal);
  const heardUpTo = async (highest: number, count: number): Promise<number> => {
    const report = compound(8, 7, 160);
    report.writeUInt32BE(highest, 36);
    caller.send(callerPort + 1, report);
    await agent.hearsRtcp(count);
    return agent.rtcpHeard.at(-1)!.readUInt32BE(36);
  };
  const sequences = [65_534, 65_535, 0, 1];
  for (const sequence of sequences) agent.say(agentPort, { ssrc: 5, sequence });
  await caller.hears(5 + sequences.length);
  const ours = caller.heard.map((packet) => fieldsOf(packet).sequence);
  // The prompt's last packet, the agent's second, its last; extended as the agent's own receiver counts.
  expect(await heardUpTo(ours[4]!, 1)).toBe(65_534);
  expect(await heardUpTo(ours[6]!, 2)).toBe(65_535);
  expect(await heardUpTo(ours[8]!, 3)).toBe(65_537);
});

test('comfort noise of a payload type of its own crosses under the number of the other side, both ways', async () => {
  await using pair = await joined({
    callerSdp: (sdp) => `${sdp.replace('AVP 8 101', 'AVP 8 105 101')}a=rtpmap:105 CN/8000\r\n`,
    agentSdp: (sdp) => sdp.replace('AVP 8 101', 'AVP 8 13 101'),
  });
  const payload = Uint8Array.of(0x40);
  pair.caller.say(pair.callerPort, { type: 105, payload });
  await pair.agent.hears(1);
  pair.agent.say(pair.agentPort, { type: 13, payload });
  await pair.caller.hears(1);
  const heard = [pair.agent, pair.caller].map(({ heard: [packet] }) => fieldsOf(packet!));
  expect(heard.map(({ type }) => type)).toEqual([13, 105]);
  expect(heard.map((each) => [...each.payload])).toEqual([[0x40], [0x40]]);
});
