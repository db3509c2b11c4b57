import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { keepContract } from '../../agent/cli/keep-contract.ts';
import { callAudio, g711Of, type KeyPress } from '../peers/pcap.ts';
import { Sipp, runSipp, type SippOptions } from '../peers/sipp.ts';
import { soundness } from './selecting-site.ts';
import { prepareSite, type Site } from './tacet-under-test.ts';

const speech = new URL('../../config/prompts/demo/caller-fr.wav', import.meta.url).pathname;
const promptMs = 1_000;
const consentGraceMs = 500;

async function siteUnder(campaign: Record<string, unknown>): Promise<Site> {
  const announcement = {
    prompt: './prompt.wav',
    consentPrompt: './prompt.wav',
    graceMs: 200,
    consentGraceMs,
  };
  const site = await prepareSite({ campaign: { announcement, ...campaign } });
  const seconds = String(promptMs / 1_000);
  await promisify(execFile)('sox', [
    ...['-n', '-r', '8000', '-c', '1', '-b', '16', join(site.folder, 'prompt.wav')],
    ...['synth', seconds, 'sine', '600', 'vol', '0.2'],
  ]);
  return site;
}

const talkMs = 3_500;

async function speaking(press: KeyPress[]): Promise<SippOptions['audio']> {
  return callAudio({ g711: await g711Of(speech), durationMs: talkMs, keys: press });
}

/** A caller who hangs up when everything was said. */
async function call(site: Site, press: KeyPress[], options: Partial<SippOptions> = {}): Promise<void> {
  await using tacet = await site.start();
  await using pbx = await Sipp.start({
    scenario: 'pbx-answers',
    port: site.pbxPorts[0]!,
    calls: 1,
    keys: { talk_ms: talkMs, ring_ms: 100 },
  });
  const caller = await runSipp({
    scenario: 'caller-call',
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    keys: { talk_ms: talkMs },
    audio: (await speaking(press))!,
    ...options,
  });
  expect(caller.exitCode, caller.errors).toBe(0);
  expect((await pbx.finished()).exitCode).toBe(0);
  await tacet.drain();
}

const portuguese = { market: 'PT', controllerSeat: 'FR' };

test('where the law asks for a yes, silence is a no: the call goes on, nothing is recorded', async () => {
  await using site = await siteUnder(portuguese);
  await call(site, []);
  const events = await site.events();
  expect(events.find(({ kind }) => kind === 'call.told')).toMatchObject({ complete: true });
  expect(events.some(({ kind }) => kind === 'recording.allowed')).toBe(false);
  expect(events.at(-2)).toMatchObject({ outcome: 'unrecorded', answered: true });
  expect(await site.recordings()).toEqual([]);
});

test('where the law asks for a yes, its key records, and the ledger has it before the recording', async () => {
  await using site = await siteUnder(portuguese);
  await call(site, [{ digit: '1', atMs: promptMs + 150 }]);
  const events = (await site.events()).filter((event) => 'call' in event);
  expect(events.map(({ kind }) => kind)).toEqual([
    'call.decided',
    'call.told',
    'call.consented',
    'recording.allowed',
    'recording.closed',
    'call.ended',
  ]);
  expect(events[0]).toMatchObject({
    mode: 'consent',
    because: expect.arrayContaining(['mode=PT-consumer-quality@2026-11-23']) as unknown,
  });
  expect(events[2]).toMatchObject({ by: { by: 'key', digit: '1' } });
  const [recording] = await site.recordings();
  // 30 days in Portugal, whatever the campaign would like.
  const { startedAt, retainUntil } = recording!.header;
  expect(Date.parse(retainUntil) - startedAt / 1_000).toBeLessThanOrEqual(30 * 86_400_000);
  expect(await soundness(site)).toMatch(/^sound/u);
});

test('a caller whose number is withheld is under no known law: never drawn, and the ledger says why', async () => {
  await using site = await siteUnder({});
  await call(site, [], { keys: { talk_ms: talkMs, caller: 'anonymous' } });
  const events = await site.events();
  expect(events.find(({ kind }) => kind === 'call.decided')).toMatchObject({
    selected: false,
    reason: 'law',
    because: expect.arrayContaining(['blocked=campaign']) as unknown,
  });
  expect(events.at(-2)).toMatchObject({ outcome: 'unselected', answered: true });
  expect(await soundness(site)).toMatch(/^sound/u);
});

const insurance = {
  class: 'mandated',
  duty: 'insurance-cold-call',
  purpose: 'legal-obligation',
  legalBasis: 'legal-obligation',
  legalText: 'Code des assurances L112-2-2',
};

test('where the law orders recording, a contract that was signed keeps it for two years from then, and the ledger says so', async () => {
  await using site = await siteUnder(insurance);
  await call(site, []);
  const [recording] = await site.recordings();
  const { recording: id, startedAt, retainUntil, afterSignatureMonths } = recording!.header;
  const days = (Date.parse(retainUntil) - startedAt / 1_000) / 86_400_000;
  expect([afterSignatureMonths, Math.round(days)]).toEqual([24, 31]);
  const signedOn = new Date().toISOString().slice(0, 10);
  const signature = { recording: id, signedOn, reference: 'contract 4711', by: 'ann' };
  const until = await keepContract(join(site.folder, 'data'), signature, new Date());
  const year = Number(signedOn.slice(0, 4)) + 2;
  expect(until.slice(0, 7)).toBe(`${year}${signedOn.slice(4, 7)}`);
  // The agent writes what the command owes to the ledger.
  await (await site.start())[Symbol.asyncDispose]();
  expect(await site.recordings()).toMatchObject([{ contract: { signedOn, retainUntil: until } }]);
  expect((await site.events()).find(({ kind }) => kind === 'recording.retained')).toMatchObject({
    recording: id,
    reference: 'contract 4711',
    by: 'ann',
  });
  expect(await soundness(site)).toMatch(/^sound/u);
});

test.each([
  ['during the announcement: no telephone rings', 400, 0],
  ['in the conversation: both sides are hung up on, what was kept is destroyed', 2_500, 1],
])('where the law orders recording, a refusal ends the call, %s', async (_, atMs, answered) => {
  await using site = await siteUnder(insurance);
  await using tacet = await site.start();
  await using pbx = await Sipp.start({
    scenario: 'pbx-answers',
    port: site.pbxPorts[0]!,
    calls: 1,
    keys: { ring_ms: 100 },
  });
  const caller = await runSipp({
    scenario: 'caller-waits-for-bye',
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    audio: (await speaking([{ digit: '2', atMs }]))!,
  });
  expect(caller.exitCode, caller.errors).toBe(0);
  if (answered === 1) expect((await pbx.finished()).exitCode).toBe(0);
  await tacet.drain();
  const events = await site.events();
  expect(events.at(-1)).toMatchObject({ outcome: 'refused', answered: answered === 1, recorded: false });
  expect(events.filter(({ kind }) => kind === 'recording.destroyed')).toHaveLength(answered);
  expect(await site.recordings()).toEqual([]);
});
