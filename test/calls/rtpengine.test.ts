/** Whole calls with rtpengine as the media plane: the same story as with the relay (`selected.test.ts`). */
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { beforeAll, afterAll, describe, expect, test } from 'vitest';
import type { Tacet } from '../../agent/main.ts';
import { NgClient } from '../../media/rtpengine/ng.ts';
import { callAudio, g711Of, type KeyPress } from '../peers/pcap.ts';
import { RtpengineUnderTest } from '../peers/rtpengine.ts';
import { runSipp, Sipp } from '../peers/sipp.ts';
import { findIn, readWav } from '../peers/wav.ts';
import { Scenario } from '../peers/scenario.ts';
import { graceMs, playCall, promptMs, selectingSite } from './selecting-site.ts';
import type { Site } from './tacet-under-test.ts';

const speech = (name: string): string =>
  new URL(`../../config/prompts/demo/${name}.wav`, import.meta.url).pathname;

let engine: RtpengineUnderTest;
beforeAll(async () => {
  engine = await RtpengineUnderTest.start();
  using client = new NgClient(engine.address, { sendAtMs: [0, 300, 900, 2_000, 4_000], giveUpMs: 8_000 });
  await client.ask({ command: 'ping' });
});
afterAll(() => engine[Symbol.asyncDispose]());

function siteWith(address: { host: string; port: number }): Promise<Site> {
  return selectingSite({ config: { media: { plane: 'rtpengine', rtpengine: [address] } } });
}

async function metricsOf(tacet: Tacet): Promise<string> {
  return (await fetch(`http://127.0.0.1:${tacet.http.port}/metrics`)).text();
}

/** One selected call, SIPp on both sides. */
async function call(site: Site, tacet: Tacet, press: KeyPress[] = []): Promise<void> {
  const talkMs = 4_000;
  const keys = { talk_ms: talkMs, ring_ms: 200 };
  await using called = await Sipp.start({
    scenario: 'pbx-answers',
    port: site.pbxPorts[0]!,
    calls: 1,
    keys,
    audio: callAudio({ g711: await g711Of(speech('agent-fr')), durationMs: talkMs }),
  });
  const result = await runSipp({
    scenario: 'caller-call',
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    keys,
    audio: callAudio({ g711: await g711Of(speech('caller-fr')), durationMs: talkMs, keys: press }),
  });
  expect(result.exitCode, result.errors + result.output.slice(-2_000)).toBe(0);
  const other = await called.finished();
  expect(other.exitCode, other.errors + other.output.slice(-2_000)).toBe(0);
  await tacet.drain();
}

describe('with rtpengine up', () => {
  async function started(site: Site): Promise<Tacet> {
    const tacet = await site.start();
    const line = `tacet_rtpengine_up{server="127.0.0.1:${engine.address.port}"} 1`;
    expect(await metricsOf(tacet)).toContain(line);
    return tacet;
  }

  test('a caller who was told and did not refuse is recorded, each side on its channel, from the talk on', async () => {
    await using site = await siteWith(engine.address);
    await using tacet = await started(site);
    await call(site, tacet);
    const events = await site.events();
    expect(events.at(-1)).toMatchObject({ kind: 'call.ended', outcome: 'recorded' });
    expect(events.find(({ kind }) => kind === 'call.told')).toBeDefined();
    const [recording] = await site.recordings();
    expect(recording).toMatchObject({ state: 'complete' });
    const file = join(site.folder, 'recording.wav');
    await writeFile(file, await site.audio(recording!.header.recording));
    const [left, right] = (await readWav(file)).channels;
    const callerSaid = (await readWav(speech('caller-fr'))).channels[0]!;
    const agentSaid = (await readWav(speech('agent-fr'))).channels[0]!;
    // Copies begin some round trips after the answer: not the first syllable of a machine that speaks at once.
    expect(findIn(right!, agentSaid.subarray(8 * 300, 8 * 1_500)).likeness).toBeGreaterThan(0.95);
    const heardFrom = promptMs + graceMs + 200;
    const later = callerSaid.subarray((heardFrom + 600) * 8, (heardFrom + 1_600) * 8);
    expect(findIn(left!, later).likeness).toBeGreaterThan(0.95);
    // No pre-roll (I1).
    expect(findIn(left!, callerSaid.subarray(0, heardFrom * 8 - 1_600)).likeness).toBeLessThan(0.5);
  });

  test.each([
    ['sendonly', 'recvonly'],
    ['inactive', 'inactive'],
  ] as const)('a hold by %s stops the capture on both sides until the resume', async (hold, answer) => {
    await using site = await siteWith(engine.address);
    const talk = { direction: 'sendrecv' } as const;
    await playCall(site, {
      caller: Scenario.caller()
        .answered()
        .pause(promptMs + 1_500)
        .reinvite({ direction: hold }, { has: [`a=${answer}`] })
        .pause(400)
        .reinvite(talk, { has: ['a=sendrecv'] })
        .pause(400)
        .hangsUp(),
      pbx: Scenario.pbx()
        .answers()
        .reinvited({ direction: answer }, { has: [`a=${hold}`] })
        .reinvited(talk, { has: ['a=sendrecv'] })
        .hungUp(),
    });
    const [recording] = await site.recordings();
    const holds = recording!.details!.gaps.filter(({ kind }) => kind === 'hold');
    expect(holds.map(({ side }) => side).sort()).toEqual(['agent', 'caller']);
  });

  test.each([
    ['during the announcement', 400],
    ['in the talk', 3_000],
  ])('a refusal by key %s leaves nothing in the store', async (_when, atMs) => {
    await using site = await siteWith(engine.address);
    await using tacet = await started(site);
    await call(site, tacet, [{ digit: '2', atMs }]);
    expect((await site.recordings()).filter(({ state }) => state === 'complete')).toEqual([]);
    const events = await site.events();
    expect(events.find(({ kind }) => kind === 'call.refused')).toMatchObject({
      by: { by: 'key', digit: '2' },
    });
    expect(events.at(-1)).toMatchObject({ kind: 'call.ended', outcome: 'refused', recorded: false });
  });
});

test('without a server the call goes through unrecorded', async () => {
  await using gone = await RtpengineUnderTest.start();
  const { address } = gone;
  await gone.kill();
  await using site = await siteWith(address);
  await using tacet = await site.start();
  await call(site, tacet);
  expect(await site.recordings()).toEqual([]);
  expect((await site.events()).at(-1)).toMatchObject({ kind: 'call.ended', recorded: false, answered: true });
});
