/** Whole calls with SRTP on one side, baresip as the telephone that has the keys; and what becomes of a call that has none. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Phone, type PhoneOptions } from '../peers/baresip.ts';
import { Program } from '../peers/program.ts';
import { RtpengineUnderTest } from '../peers/rtpengine.ts';
import { Scenario } from '../peers/scenario.ts';
import { Capture } from '../peers/tshark.ts';
import { findIn, readWav } from '../peers/wav.ts';
import { playCall, selectingSite } from './selecting-site.ts';
import type { Tacet } from '../../agent/main.ts';

const speech = (name: string): string =>
  new URL(`../../config/prompts/demo/${name}.wav`, import.meta.url).pathname;
const command = new URL('../../agent/cli/tacet.ts', import.meta.url).pathname;
const number = '+33800000001';
const order = { by: 'ann', reason: 'complaint 17' };

const secure: Partial<PhoneOptions> = { srtp: 'demanded' };
const oneSided: [
  what: string,
  plane: 'relay' | 'rtpengine',
  caller: Partial<PhoneOptions>,
  pbx: Partial<PhoneOptions>,
  keys: number,
][] = [
  ['the carrier alone has SRTP', 'relay', secure, {}, 2],
  ['the PBX alone has SRTP', 'relay', {}, secure, 5],
  ['both have SRTP', 'rtpengine', secure, secure, 7],
];

test.each(oneSided)(
  '%s, media by %s: both hear each other, each is on its channel, no key is left anywhere',
  async (...row) => {
    const [, plane, callerHas, pbxHas, keyLines] = row;
    const lastsMs = 40_000;
    await using servers = new AsyncDisposableStack();
    const media =
      plane === 'relay'
        ? undefined
        : { plane, rtpengine: [servers.use(await RtpengineUnderTest.start()).address] };
    await using caller = await Phone.start({
      user: '+33199000001',
      speech: speech('caller-fr'),
      waitsMs: 5_000,
      lastsMs,
      ...callerHas,
    });
    await using phone = await Phone.start({
      user: number,
      speech: speech('agent-fr'),
      waitsMs: 500,
      lastsMs,
      answers: 'auto',
      ...pbxHas,
    });
    await using site = await selectingSite({
      config: { logLevel: 'debug', ...(media === undefined ? {} : { media }) },
      trunk: { ports: [caller.port], uri: caller.uri },
      pbx: () => ({
        ports: [phone.port],
        uri: phone.uri,
        srtp: pbxHas.srtp === undefined ? 'accept' : 'require',
      }),
    });
    await using agent = await Program.start(process.execPath, [
      command,
      'start',
      '--config',
      site.configFile,
    ]);
    await agent.printed(/"msg":"ready"/u, 40_000);
    await using wire = await Capture.start(`udp port ${site.sipPort}`);
    await caller.dial(`sip:${number}@127.0.0.1:${site.sipPort}`);
    await phone.saw('CALL_ESTABLISHED', 30_000);
    await phone.heardFor(10_000, 40_000);
    const [, port] = await agent.printed(/"http":(\d+)/u);
    const shown = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    await caller.hangUp();
    await agent.until(
      async () => ((await site.recordings()).some(({ state }) => state === 'complete') ? true : undefined),
      20_000,
      'a complete recording',
    );
    await wire.stop();
    expect((await agent.stop(10_000)).code).toBe(0);

    const [recording] = await site.recordings();
    const file = join(site.folder, 'recording.wav');
    await writeFile(file, await site.audio(recording!.header.recording));
    const { channels } = await readWav(file);
    const said = await Promise.all(
      ['caller-fr', 'agent-fr'].map(async (name) => (await readWav(speech(name))).channels[0]!),
    );
    const heard = await Promise.all(
      [phone, caller].map(async (each) => (await readWav(await each.heard())).channels[0]!),
    );
    for (const side of [0, 1]) {
      const words = said[side]!.subarray(0, 8_000 * 2);
      expect(findIn(channels[side]!, words).likeness).toBeGreaterThan(0.9);
      expect(findIn(channels[1 - side]!, words).likeness).toBeLessThan(0.5);
      expect(findIn(heard[side]!, words).likeness).toBeGreaterThan(0.9);
    }

    const bodies = (await readFile(wire.file)).toString('latin1');
    const keys = [...bodies.matchAll(/inline:([A-Za-z0-9+/=]+)/gu)].map(([, key]) => key!);
    expect(new Set(keys).size).toBeGreaterThanOrEqual(keyLines);
    const kept = await Promise.all(
      (await readdir(site.folder, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')),
    );
    for (const text of [agent.output, shown, ...kept])
      expect(['inline:', 'a=crypto', ...keys].filter((word) => text.includes(word))).toEqual([]);
  },
);

test('a carrier that must have keys and has none is put through without us, unrecorded', async () => {
  await using site = await selectingSite({ trunk: { srtp: 'require' } });
  const { events } = await playCall(site, {
    caller: Scenario.caller().answered().pause(500).hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
  });
  expect(events.at(-1)).toMatchObject({ outcome: 'unrecorded' });
  expect(await site.recordings()).toEqual([]);
});

/** Orders the one call to be recorded as soon as it passes. */
async function recordPassing({ calls }: Tacet) {
  await expect.poll(() => calls.list()[0]?.state, { timeout: 10_000, interval: 20 }).toBe('passing');
  return calls.record(calls.list()[0]!.call, order);
}

const talk = { direction: 'sendrecv' } as const;

test('a call recorded by order is asked for keys on the leg whose peer wants them, and on no other', async () => {
  await using site = await selectingSite({
    campaign: { rate: 0, onDemand: true },
    pbx: () => ({ srtp: 'offer' }),
  });
  const { caller } = await playCall(site, {
    caller: Scenario.caller().answered().reinvited(talk).pause(3_000).hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .reinvited(talk, { has: ['RTP/AVP', 'a=crypto:1 AEAD_AES_256_GCM inline:'] })
      .hungUp(),
    talkMs: 5_000,
    meanwhile: async (tacet) => expect(await recordPassing(tacet)).toEqual({ done: true }),
  });
  expect(caller.messages.filter(({ text }) => text.includes('a=crypto'))).toEqual([]);
});

test('where a peer must have keys and has none, the order fails and it is sent back to where it was', async () => {
  await using site = await selectingSite({
    campaign: { rate: 0, onDemand: true },
    pbx: () => ({ srtp: 'require' }),
  });
  const { caller, events } = await playCall(site, {
    caller: Scenario.caller().answered().pause(2_000).hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .reinvited(talk, { has: ['RTP/SAVP'] })
      .reinvited(talk, { has: ['RTP/AVP'] })
      .hungUp(),
    talkMs: 4_000,
    meanwhile: async (tacet) => expect(await recordPassing(tacet)).toMatchObject({ done: false }),
  });
  const asked = caller.messages.filter(
    ({ direction, text }) => direction === 'received' && /^INVITE /u.test(text),
  );
  expect(asked).toEqual([]);
  expect(events.at(-1)).toMatchObject({ outcome: 'unselected' });
});

test('a PBX that knows none of the codec that the caller was told in: the caller is offered another, and is recorded', async () => {
  await using site = await selectingSite();
  const offer = (types: string, maps: string[]) => ({
    type: 'application/sdp',
    text: [
      'v=0',
      'o=- [pid] 1 IN IP4 [local_ip]',
      's=-',
      'c=IN IP4 [media_ip]',
      't=0 0',
      `m=audio [auto_media_port] RTP/AVP ${types}`,
      ...maps.map((map) => `a=rtpmap:${map}`),
    ].join('\n'),
  });
  const { events } = await playCall(site, {
    caller: Scenario.caller({ body: offer('9 8', ['9 G722/8000', '8 PCMA/8000']) })
      .answered({}, { has: ['m=audio [0-9]+ RTP/AVP 9'] })
      .reinvited(offer('8', ['8 PCMA/8000']), { has: ['m=audio [0-9]+ RTP/AVP 8'] })
      .pause(3_000)
      .hangsUp(),
    pbx: Scenario.pbx({ has: ['m=audio [0-9]+ RTP/AVP 9 8'] })
      .answers()
      .hungUp(),
    talkMs: 6_000,
  });
  expect(events.at(-1)).toMatchObject({ outcome: 'recorded' });
  const [recording] = await site.recordings();
  expect(recording!.details!.undecoded).toEqual([]);
  expect(recording!.details!.storedMs.caller).toBeGreaterThan(2_000);
});
