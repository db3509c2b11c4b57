import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { Tacet } from '../../agent/main.ts';
import { callAudio, g711Of, type KeyPress } from '../peers/pcap.ts';
import { pcma, pcmu, Sipp, runSipp, telephoneEvent, type SippKeys, type SippOptions } from '../peers/sipp.ts';
import { findIn, levels, readWav } from '../peers/wav.ts';
import { graceMs, promptMs, selectingSite, soundness } from './selecting-site.ts';
import type { Site } from './tacet-under-test.ts';

const speech = (name: string): string =>
  new URL(`../../config/prompts/demo/${name}.wav`, import.meta.url).pathname;
interface Played {
  caller?: Partial<SippOptions>;
  pbx?: Partial<SippOptions>;
  keys?: SippKeys;
  press?: KeyPress[];
  talkMs?: number;
}

/** One selected call, SIPp on both sides. */
async function call(
  site: Site,
  tacet: Tacet,
  { caller = {}, pbx = {}, keys = {}, press = [], talkMs = 3_500 }: Played,
) {
  const said = await g711Of(speech('caller-fr'));
  const answered = await g711Of(speech('agent-fr'));
  const times: SippKeys = { talk_ms: talkMs, ring_ms: 200, ...keys };
  await using called = await Sipp.start({
    scenario: 'pbx-answers',
    port: site.pbxPorts[0]!,
    calls: 1,
    keys: times,
    audio: callAudio({ g711: answered, durationMs: talkMs }),
    ...pbx,
  });
  const result = await runSipp({
    scenario: 'caller-call',
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    keys: times,
    audio: callAudio({ g711: said, durationMs: talkMs, keys: press }),
    ...caller,
  });
  expect(result.exitCode, result.errors + result.output.slice(-2_000)).toBe(0);
  const other = await called.finished();
  expect(other.exitCode, other.errors + other.output.slice(-2_000)).toBe(0);
  await tacet.drain();
  return { caller: result, pbx: other };
}

test('a caller who was told and did not refuse is recorded: each side on its channel, in time, from the talk on', async () => {
  await using site = await selectingSite();
  await using tacet = await site.start();
  await call(site, tacet, { talkMs: 5_000 });

  const events = await site.events();
  expect(events.map(({ kind }) => kind)).toEqual([
    'sampling.key-committed',
    'sampling.key-committed',
    'agent.started',
    'call.decided',
    'call.told',
    'recording.allowed',
    'recording.closed',
    'call.ended',
  ]);
  const good = { lossRatio: 0, mos: expect.closeTo(4.4, 0) as number };
  expect(events.at(-1)).toMatchObject({ outcome: 'recorded', quality: { caller: good, agent: good } });
  const [recording] = await site.recordings();
  expect(recording).toMatchObject({
    state: 'complete',
    header: { campaign: 'support-fr', purpose: 'training' },
  });
  expect(recording!.details!.gaps.filter(({ kind }) => kind === 'lost')).toEqual([]);

  const file = join(site.folder, 'recording.wav');
  await writeFile(file, await site.audio(recording!.header.recording));
  const { channels } = await readWav(file);
  const { stdout } = await promisify(execFile)('sox', ['--info', file]);
  expect(stdout).toMatch(/Channels +: 2[\s\S]*Sample Rate +: 8000/u);
  const [left, right] = [channels[0]!, channels[1]!];
  const callerSaid = (await readWav(speech('caller-fr'))).channels[0]!;
  const agentSaid = (await readWav(speech('agent-fr'))).channels[0]!;

  // The agent speaks from the answer on: the right channel begins with the agent's first word.
  const agent = findIn(right, agentSaid.subarray(0, 8_000 * 2));
  expect(agent.likeness).toBeGreaterThan(0.95);
  expect(findIn(left, agentSaid.subarray(0, 8_000 * 2)).likeness).toBeLessThan(0.4);
  // The caller has been speaking since the answer, through prompt, grace and ringing: none of that is there.
  const heardFrom = promptMs + graceMs + 200;
  const later = callerSaid.subarray((heardFrom + 600) * 8, (heardFrom + 2_600) * 8);
  const caller = findIn(left, later);
  expect(caller.likeness).toBeGreaterThan(0.95);
  const first = callerSaid.subarray(0, heardFrom * 8 - 1_600);
  expect(findIn(left, first).likeness).toBeLessThan(0.5);
  expect(levels(left).length).toBeGreaterThan(100);
  expect(await soundness(site)).toMatch(/^sound/u);
});

test('two recorded sides that said the same at the same time stay within 20 ms of each other', async () => {
  await using site = await selectingSite();
  await using tacet = await site.start();
  // The PBX sends back every packet at once: the right channel is the left one, a loopback later.
  await call(site, tacet, { talkMs: 4_000, pbx: { rtpEcho: true, audio: [] } });
  const [recording] = await site.recordings();
  const file = join(site.folder, 'recording.wav');
  await writeFile(file, await site.audio(recording!.header.recording));
  const { channels } = await readWav(file);
  const piece = channels[0]!.subarray(8_000, 14_000);
  const { offsetMs, likeness } = findIn(channels[1]!, piece);
  expect(likeness).toBeGreaterThan(0.9);
  expect(Math.abs(offsetMs - 1_000)).toBeLessThan(20);
});

test('a refusal in the conversation stops and destroys what was kept, with a receipt, and the call goes on', async () => {
  await using site = await selectingSite();
  await using tacet = await site.start();
  await call(site, tacet, { talkMs: 4_000, press: [{ digit: '2', atMs: 2_800 }] });
  expect(await site.recordings()).toEqual([]);
  const events = await site.events();
  const destroyed = events.find((event) => event.kind === 'recording.destroyed');
  expect(destroyed?.reason).toBe('refused');
  expect(destroyed?.proof).toMatch(/^[0-9a-f]{64}$/u);
  expect(events.at(-1)).toMatchObject({ outcome: 'refused', answered: true });
  expect(await soundness(site)).toMatch(/^sound/u);
});

test('another key is no refusal', async () => {
  await using site = await selectingSite();
  await using tacet = await site.start();
  await call(site, tacet, { press: [{ digit: '5', atMs: 400 }] });
  expect(await site.recordings()).toHaveLength(1);
});

test('a hold stops the capture, and the gap says so', async () => {
  await using site = await selectingSite();
  await using tacet = await site.start();
  const keys = { talk_ms: 2_600, hold_ms: 600, hold_direction: 'sendonly' } as const;
  await call(site, tacet, { caller: { scenario: 'caller-holds' }, keys, talkMs: 6_000 });
  const [recording] = await site.recordings();
  expect(recording!.details!.gaps).toContainEqual(expect.objectContaining({ kind: 'hold' }));
});

test('the other side of G.711 and another number for keys are translated', async () => {
  await using site = await selectingSite();
  await using tacet = await site.start();
  const mulaw = callAudio({
    g711: await g711Of(speech('agent-fr'), 'PCMU'),
    durationMs: 4_500,
    payloadType: 0,
  });
  await call(site, tacet, {
    talkMs: 4_500,
    caller: { formats: [pcma, telephoneEvent(96)] },
    pbx: { formats: [pcmu, telephoneEvent(101)], audio: mulaw },
  });
  const [recording] = await site.recordings();
  expect(recording!.header.codecs).toMatchObject({ caller: { 8: 'PCMA/8000' }, agent: { 0: 'PCMU/8000' } });
  const file = join(site.folder, 'recording.wav');
  await writeFile(file, await site.audio(recording!.header.recording));
  const right = (await readWav(file)).channels[1]!;
  expect(levels(right).some((level) => level > -40)).toBe(true);
});

test('a caller without a codec of ours goes through unrecorded', async () => {
  await using site = await selectingSite();
  await using tacet = await site.start();
  const formats = [{ type: 18, name: 'G729/8000' }];
  await call(site, tacet, { talkMs: 500, caller: { formats }, pbx: { formats } });
  expect((await site.events()).at(-1)).toMatchObject({ outcome: 'unrecorded', answered: true });
  expect(await site.recordings()).toEqual([]);
});

test('a busy PBX is told to the answered caller by tone and by the cause in the BYE', async () => {
  await using site = await selectingSite();
  await using _tacet = await site.start();
  await using busy = await Sipp.start({
    scenario: 'pbx-is-busy',
    port: site.pbxPorts[0]!,
    calls: 1,
    keys: { status: '486 Busy Here' },
  });
  const caller = await runSipp({
    scenario: 'caller-waits-for-bye',
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
  });
  expect(caller.exitCode, caller.errors).toBe(0);
  expect((await busy.finished()).exitCode).toBe(0);
  const bye = caller.messages.find(({ startLine }) => startLine.startsWith('BYE'));
  expect(bye?.text).toMatch(/Reason: Q\.850;cause=17/u);
  expect((await site.events()).some(({ kind }) => kind === 'recording.allowed')).toBe(false);
});

test('an outbound call is told when the called party answers, then put through and recorded', async () => {
  await using site = await selectingSite({ campaign: { direction: 'outbound', match: { trunk: 'pbx-0' } } });
  await using tacet = await site.start();
  await using called = await Sipp.start({
    scenario: 'pbx-answers',
    port: site.carrierPort,
    calls: 1,
    keys: { ring_ms: 100 },
    audio: callAudio({ g711: await g711Of(speech('caller-fr')), durationMs: 4_000 }),
  });
  const agent = await runSipp({
    scenario: 'caller-call',
    target: { port: site.sipPort },
    port: site.pbxPorts[0]!,
    service: '+33100000001',
    keys: { talk_ms: 3_500 },
    audio: callAudio({ g711: await g711Of(speech('agent-fr')), durationMs: 3_500 }),
  });
  expect(agent.exitCode, agent.errors).toBe(0);
  await called.finished();
  await tacet.drain();
  expect((await site.events()).at(-1)).toMatchObject({ outcome: 'recorded' });
  expect(await site.recordings()).toHaveLength(1);
});
