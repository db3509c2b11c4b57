/** RTP as it is sent by those who send it otherwise than one would like: what the other side hears of it. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { eventPayload, rtpPacket } from '../../peers/pcap.ts';
import { call, compound, fieldsOf, joined, type Rewrite } from './joined.ts';
import { killWorker } from './kill-worker.ts';
import { portOf, telephone, type Spoken } from '../../peers/telephone.ts';

/** Each packet's place in the stream, counted from the first that arrived. */
function placesOf(heard: readonly Buffer[]) {
  const packets = heard.map(fieldsOf);
  const [first] = packets;
  return packets.map(({ sequence, timestamp }) => [
    ((sequence - first!.sequence) << 16) >> 16,
    (timestamp - first!.timestamp) | 0,
  ]);
}

const streams: [what: string, spoken: Spoken[], places: [number, number][]][] = [
  [
    '10, 20, 40 and 60 ms a packet, changed in the middle',
    [80, 160, 320, 480, 80].map((bytes, index) => ({
      sequence: index,
      timestamp: [0, 80, 240, 560, 1_040][index]!,
      payload: new Uint8Array(bytes).fill(0xd5),
    })),
    [0, 80, 240, 560, 1_040].map((timestamp, index) => [index, timestamp]),
  ],
  [
    'sequence and timestamp that wrap',
    [0, 1, 2, 3].map((turn) => ({
      sequence: (65_534 + turn) & 0xffff,
      timestamp: (2 ** 32 - 320 + turn * 160) >>> 0,
    })),
    [0, 1, 2, 3].map((turn) => [turn, turn * 160]),
  ],
  [
    'lost, late and doubled packets',
    [10, 11, 14, 13, 14, 15].map((sequence) => ({ sequence, timestamp: sequence * 160 })),
    [10, 11, 14, 13, 14, 15].map((sequence) => [sequence - 10, (sequence - 10) * 160]),
  ],
];

test.each(streams)('%s cross with their own places', async (_what, spoken, places) => {
  await using pair = await joined();
  for (const each of spoken) pair.caller.say(pair.callerPort, each);
  await pair.agent.hears(spoken.length);
  expect(placesOf(pair.agent.heard)).toEqual(places);
  expect(pair.agent.heard.map((packet) => packet.length - 12)).toEqual(
    spoken.map(({ payload }) => payload?.length ?? 160),
  );
});

test('a new SSRC, and numbers that jump under the same one, go on in one stream without a hole', async () => {
  await using pair = await joined();
  const { caller, callerPort, agent } = pair;
  caller.say(callerPort, { sequence: 100, timestamp: 1_000, ssrc: 1 });
  caller.say(callerPort, { sequence: 40_000, timestamp: 3_000_000_000, ssrc: 2 });
  caller.say(callerPort, { sequence: 9, timestamp: 17, ssrc: 2 });
  await agent.hears(3);
  const packets = agent.heard.map(fieldsOf);
  expect(new Set(packets.map(({ ssrc }) => ssrc)).size).toBe(1);
  expect(placesOf(agent.heard).map(([sequence]) => sequence)).toEqual([0, 1, 2]);
  // The talkspurt of another source begins: a jitter buffer may start anew (RFC 3551 section 4.1).
  expect(packets.map(({ marker }) => marker)).toEqual([true, true, false]);
  const spans = placesOf(agent.heard).map(([, timestamp]) => timestamp!);
  expect(spans.every((span) => span >= 0 && span < 8 * 30_000)).toBe(true);
});

test('marker, comfort noise, extension, CSRCs and padding stay as they are; what nobody agreed to goes no further', async () => {
  await using pair = await joined();
  const { caller, callerPort, agent, plane } = pair;
  caller.say(callerPort, { sequence: 1, timestamp: 160 });
  caller.say(callerPort, { sequence: 2, timestamp: 320, marker: true });
  caller.say(callerPort, { sequence: 3, timestamp: 480, type: 13, payload: Uint8Array.of(0x40) });
  caller.say(callerPort, { sequence: 4, timestamp: 640, type: 77 });
  const plain = Buffer.from(
    rtpPacket({
      type: 8,
      marker: false,
      sequence: 5,
      timestamp: 800,
      ssrc: 7,
      payload: Buffer.alloc(164, 1),
    }),
  );
  // Two CSRCs, an extension of one word (RFC 8285), padding of four bytes.
  const furnished = Buffer.concat([
    Uint8Array.of(0x80 | 0x30 | 2),
    plain.subarray(1, 12),
    Buffer.from('00000010' + '00000011' + 'bede0001' + '10aa0000', 'hex'),
    Buffer.alloc(160, 0x55),
    Uint8Array.of(0, 0, 0, 4),
  ]);
  caller.send(callerPort, furnished);
  await agent.hears(4);
  expect(agent.heard.map((packet) => fieldsOf(packet).type)).toEqual([8, 8, 13, 8]);
  expect(agent.heard.map((packet) => fieldsOf(packet).marker)).toEqual([true, true, false, false]);
  const last = agent.heard[3]!;
  expect(last[0]).toBe(furnished[0]);
  expect(last.subarray(12).equals(furnished.subarray(12))).toBe(true);
  expect(plane.statistics().packetsDropped['unknown-payload']).toBe(1);
});

test('a far end that answers with both G.711 codecs may send either', async () => {
  await using pair = await joined({ agentSdp: (sdp) => sdp.replace('RTP/AVP 8 101', 'RTP/AVP 8 0 101') });
  pair.agent.say(pair.agentPort, { type: 0, payload: new Uint8Array(160).fill(0xff) });
  await pair.caller.hears(1);
  const { type, payload } = fieldsOf(pair.caller.heard[0]!);
  expect(type).toBe(8);
  expect(payload.every((byte) => byte === 0xd5)).toBe(true);
});

const keyStories: [what: string, packets: [ticks: number, end: boolean, segment: number][], keys: number][] =
  [
    [
      'three ends',
      [
        [160, false, 0],
        [320, false, 0],
        [480, true, 0],
        [480, true, 0],
        [480, true, 0],
      ],
      1,
    ],
    [
      'a lost start',
      [
        [480, false, 0],
        [640, true, 0],
      ],
      1,
    ],
    [
      'a lost end',
      [
        [160, false, 0],
        [320, false, 0],
      ],
      1,
    ],
    ['only an end', [[800, true, 0]], 1],
    [
      'a press longer than a duration can say',
      [
        [65_535, false, 0],
        [160, false, 65_535],
        [320, true, 65_535],
      ],
      1,
    ],
  ];

test.each(keyStories)(
  'a key with %s is heard once, and crosses under the number of the other side',
  async (_what, packets, keys) => {
    await using pair = await joined({
      agentSdp: (sdp) => sdp.replace('AVP 8 101', 'AVP 8 96').replace('rtpmap:101', 'rtpmap:96'),
    });
    const pressed: string[] = [];
    using _listening = pair.session.caller.onDigit(({ digit }) => pressed.push(digit));
    for (const [ticks, end, segment] of packets) {
      const payload = eventPayload('5', end, ticks / 8);
      pair.caller.say(pair.callerPort, { type: 101, payload, timestamp: 10_000 + segment });
    }
    await pair.agent.hears(packets.length);
    const heard = pair.agent.heard.map(fieldsOf);
    expect(heard.map(({ type }) => type)).toEqual(packets.map(() => 96));
    expect(new Set(heard.map(({ timestamp }) => timestamp)).size).toBe(
      new Set(packets.map(([, , segment]) => segment)).size,
    );
    expect(heard.map(({ payload }) => payload.readUInt16BE(2))).toEqual(packets.map(([ticks]) => ticks));
    await expect.poll(() => pressed).toEqual(Array<string>(keys).fill('5'));
  },
);

test.each([
  ['on its own port', false],
  ['on the RTP port (RFC 5761)', true],
])('RTCP %s speaks of the streams that the other side knows', async (_where, mux) => {
  const withMux: Rewrite = (sdp) => `${sdp}a=rtcp-mux\r\n`;
  await using pair = await joined(mux ? { callerSdp: withMux } : {});
  const { caller, agent, callerPort, agentPort } = pair;
  caller.say(callerPort, { sequence: 1, timestamp: 5_000, ssrc: 77 });
  agent.say(agentPort, { sequence: 1, timestamp: 5_000, ssrc: 88 });
  await agent.hears(1);
  await caller.hears(1);
  const ours = { toAgent: fieldsOf(agent.heard[0]!), toCaller: fieldsOf(caller.heard[0]!) };
  caller.send(mux ? callerPort : callerPort + 1, compound(77, ours.toCaller.ssrc, 5_160));
  await agent.hearsRtcp(1);
  const crossed = agent.rtcpHeard[0]!;
  expect(crossed.length).toBe(compound(0, 0, 0).length);
  expect([4, 56, 72].map((at) => crossed.readUInt32BE(at))).toEqual(Array(3).fill(ours.toAgent.ssrc));
  expect(crossed.readUInt32BE(28)).toBe(88);
  expect((crossed.readUInt32BE(16) - ours.toAgent.timestamp) >>> 0).toBe(160);
  // The other way it arrives where that side listens: with the RTP, or beside it.
  agent.send(agentPort + 1, compound(88, ours.toAgent.ssrc, 5_160));
  if (mux) await expect.poll(() => caller.heard.filter((packet) => packet[1] === 200)).toHaveLength(1);
  else await caller.hearsRtcp(1);
});

test.each([
  ['signalled', 'another address', '127.0.0.3'],
  ['address', 'another address', '127.0.0.3'],
  ['signalled', 'another port', '127.0.0.1'],
] as const)(
  'with latching %s a stranger of %s hears nothing and is not heard, before and after the far end has spoken',
  async (latching, _from, address) => {
    await using pair = await joined({ latching });
    await using stranger = await telephone(address);
    const { caller, agent, agentPort, plane, session } = pair;
    const inject = (): void => {
      for (let turn = 0; turn < 4; turn++) stranger.say(agentPort);
    };
    inject();
    await expect.poll(() => plane.statistics().packetsDropped['wrong-source']).toBe(4);
    agent.say(agentPort, { sequence: 1, ssrc: 5 });
    await caller.hears(1);
    inject();
    agent.say(agentPort, { sequence: 2, ssrc: 5 });
    await caller.hears(2);
    expect(caller.heard).toHaveLength(2);
    expect((await session.statistics()).agent.packetsReceived).toBe(2);
    caller.say(pair.callerPort);
    await agent.hears(1);
    expect(stranger.heard).toEqual([]);
  },
);

test('a far end behind a NAT is followed to the port that it sends from where the site says so, and nowhere else', async () => {
  const elsewhere: Rewrite = (sdp) => sdp.replace(/m=audio \d+/u, 'm=audio 9');
  await using strict = await joined({ agentSdp: elsewhere });
  strict.agent.say(strict.agentPort);
  await expect.poll(() => strict.plane.statistics().packetsDropped['wrong-source']).toBe(1);
  expect(strict.caller.heard).toEqual([]);

  await using followed = await joined({ latching: 'address', agentSdp: elsewhere });
  followed.agent.say(followed.agentPort);
  await followed.caller.hears(1);
  followed.caller.say(followed.callerPort);
  await followed.agent.hears(1);
});

test('a re-INVITE moves a side: the new place is heard and hears, the old one no more, the stream goes on', async () => {
  await using pair = await joined();
  await using phone = await telephone();
  const { caller, agent, callerPort, agentPort, session } = pair;
  caller.say(callerPort);
  await agent.hears(1);
  agent.say(agentPort, { ssrc: 5 });
  await caller.hears(1);
  await session.agent.answer(phone.sdp);
  agent.say(agentPort, { ssrc: 5 });
  phone.say(agentPort, { ssrc: 6 });
  await caller.hears(2);
  caller.say(callerPort);
  await phone.hears(1);
  expect(agent.heard).toHaveLength(1);
  const packets = caller.heard.map(fieldsOf);
  expect(new Set(packets.map(({ ssrc }) => ssrc)).size).toBe(1);
  expect(placesOf(caller.heard).map(([sequence]) => sequence)).toEqual([0, 1]);
  expect((await session.statistics()).agent.packetsReceived).toBe(2);
});

test('sides on interfaces of their own, one by IPv4 and one by IPv6, each said as it is to be reached', async () => {
  await using pair = await joined({
    outside: { address: '127.0.0.1', advertise: '192.0.2.7' },
    inside: { address: '::1' },
  });
  expect(await pair.session.caller.offer()).toContain('c=IN IP4 192.0.2.7');
  expect(await pair.session.agent.offer()).toContain('c=IN IP6 ::1');
  pair.caller.say(pair.callerPort);
  await pair.agent.hears(1);
  pair.agent.say(pair.agentPort);
  await pair.caller.hears(1);
});

test('a worker that dies takes its sessions and nothing else with it: its sockets are closed, the next call has another', async () => {
  await using pair = await joined();
  const { session, plane } = pair;
  const sockets = await openSockets();
  const played = killWorker(session);
  if (!session.lost.aborted) await once(session.lost, 'abort');
  expect(await played).toMatchObject({ complete: false });
  await session[Symbol.asyncDispose]();
  // Four sockets of the session; the set and the bell of the dead worker were replaced by those of the next.
  await expect.poll(openSockets).toBe(sockets - 4);
  await using next = await plane.open(call);
  const port = portOf(await next.caller.answer(pair.caller.sdp));
  pair.caller.say(port);
  await expect.poll(async () => (await next.statistics()).caller.packetsReceived).toBe(1);
});

/** Sockets that this process has open, whoever opened them. */
async function openSockets(): Promise<number> {
  const descriptors = await readdir('/proc/self/fd');
  const targets = await Promise.all(
    descriptors.map((each) => readlink(`/proc/self/fd/${each}`).catch(() => '')),
  );
  return targets.filter((target) => target.startsWith('socket:')).length;
}

test('sound that ffmpeg sends crosses as it was sent, in the packets of ffmpeg', async () => {
  await using pair = await joined({ latching: 'address' });
  // ffmpeg is the caller: its packets come from a port of its own, of the caller's address.
  const args = ['-v', 'error', '-re', '-f', 'lavfi', '-i', 'sine=frequency=440:duration=1'];
  const sound = ['-ar', '8000', '-ac', '1', '-c:a', 'pcm_alaw', '-f', 'rtp'];
  await promisify(execFile)('ffmpeg', [...args, ...sound, `rtp://127.0.0.1:${pair.callerPort}?pkt_size=172`]);
  await expect.poll(() => pair.agent.heard.reduce((sum, { length }) => sum + length - 12, 0)).toBe(8_000);
  const places = placesOf(pair.agent.heard);
  expect(places.map(([sequence]) => sequence)).toEqual(places.map((_, index) => index));
  const played = Buffer.concat(pair.agent.heard.map((packet) => packet.subarray(12)));
  const { stdout } = await promisify(execFile)(
    'ffmpeg',
    [...args.filter((each) => each !== '-re'), ...sound.slice(0, -1), 'alaw', '-'],
    {
      encoding: 'buffer',
    },
  );
  expect(played.equals(stdout)).toBe(true);
});
