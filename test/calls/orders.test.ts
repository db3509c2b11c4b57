import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Tacet } from '../../agent/main.ts';
import type { CallState } from '../../agent/call/registry.ts';
import type { CallId } from '../../config/units.ts';
import { encodePcma } from '../../media/codec/g711.ts';
import { dialled } from '../media/dtmf/dual-tone.ts';
import { callAudio } from '../peers/pcap.ts';
import { Scenario } from '../peers/scenario.ts';
import { readWav, soundingMs } from '../peers/wav.ts';
import { graceMs, kindsOf, playCall, promptMs, selectingSite } from './selecting-site.ts';

const talk = { direction: 'sendrecv' } as const;
const bridgedMs = promptMs + 800;
const order = { by: 'ann', reason: 'complaint 17' };

/** Waits until the one call is in this state; gives its id. */
async function callIn(tacet: Tacet, state: CallState): Promise<CallId> {
  await expect.poll(() => tacet.calls.list()[0]?.state, { timeout: 10_000, interval: 20 }).toBe(state);
  return tacet.calls.list()[0]!.call;
}

test('a call in progress is recorded by order: media brought in, told, recorded, paused, resumed, stopped', async () => {
  await using site = await selectingSite({ campaign: { rate: 0, onDemand: true } });
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .reinvited(talk, { has: ['m=audio'] })
      .pause(4_000)
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .reinvited(talk, { has: ['m=audio'] })
      .hungUp(),
    talkMs: 6_000,
    meanwhile: async ({ calls }) => {
      const call = await callIn({ calls } as Tacet, 'passing');
      expect(await calls.pause(call, order)).toMatchObject({ done: false });
      expect(await calls.record(call, order)).toEqual({ done: true });
      expect(await calls.record(call, order)).toMatchObject({ done: false });
      expect(await calls.pause(call, order)).toEqual({ done: true });
      expect(await calls.resume(call, order)).toEqual({ done: true });
      expect(await calls.stop(call, order)).toEqual({ done: true });
      expect(calls.list()).toMatchObject([{ state: 'unrecorded' }]);
    },
  });
  expect(kindsOf(events).slice(0, 5)).toEqual([
    'call.decided',
    'call.ordered',
    'call.told',
    'call.ordered',
    'recording.allowed',
  ]);
  expect(events.at(-1)).toMatchObject({ outcome: 'recorded' });
  expect(events.find(({ kind }) => kind === 'recording.closed')).toMatchObject({ reason: 'stopped' });
  expect(await site.recordings()).toMatchObject([{ state: 'complete' }]);
});

test('a party that does not let us in is left in peace: the order fails and the call goes on as it was', async () => {
  await using site = await selectingSite({ campaign: { rate: 0, onDemand: true } });
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .expect('INVITE')
      .reply('488 Not Acceptable Here')
      .expect('ACK')
      .pause(300)
      .hangsUp(),
    pbx: Scenario.pbx().answers().reinvited(talk).reinvited(talk).hungUp(),
    meanwhile: async ({ calls }) => {
      const call = await callIn({ calls } as Tacet, 'passing');
      expect(await calls.record(call, order)).toMatchObject({ done: false });
    },
  });
  expect(events.at(-1)).toMatchObject({ outcome: 'unselected' });
  expect(await site.recordings()).toEqual([]);
});

test('where the campaign does not allow it, an order is refused and nothing is touched', async () => {
  await using site = await selectingSite({ campaign: { rate: 0 } });
  await playCall(site, {
    caller: Scenario.caller().answered().pause(800).hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
    meanwhile: async ({ calls }) => {
      const call = await callIn({ calls } as Tacet, 'passing');
      expect(await calls.record(call, order)).toEqual({ done: false, why: 'the campaign does not allow it' });
    },
  });
});

test("the agent's record key pauses and resumes; the carrier sees nothing of it", async () => {
  await using site = await selectingSite();
  const { caller } = await playCall(site, {
    caller: Scenario.caller().answered().hungUp(),
    pbx: Scenario.pbx()
      .answers()
      .pause(600)
      .request('INFO', { headers: ['Record: off'] })
      .pause(300)
      .request('INFO', { headers: ['Record: on'] })
      .pause(300)
      .hangsUp(),
  });
  expect(caller.messages.some(({ startLine }) => startLine.startsWith('INFO'))).toBe(false);
  const [recording] = await site.recordings();
  expect(recording!.details!.gaps.filter(({ kind }) => kind === 'paused')).toHaveLength(2);
});

test("the agent's code pauses the recording", async () => {
  await using site = await selectingSite({ campaign: { agentCodes: { pause: '*7' } } });
  await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(bridgedMs + 1_400)
      .hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
    press: {
      pbx: [
        { digit: '*', atMs: 400 },
        { digit: '7', atMs: 700 },
      ],
    },
  });
  const [recording] = await site.recordings();
  expect(recording!.details!.gaps.filter(({ kind }) => kind === 'paused')).toHaveLength(2);
});

test("the agent's code for a private call destroys what was recorded, and no order brings it back", async () => {
  await using site = await selectingSite({ campaign: { onDemand: true, agentCodes: { private: '*9' } } });
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(bridgedMs + 1_600)
      .hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
    press: {
      pbx: [
        { digit: '*', atMs: 400 },
        { digit: '9', atMs: 700 },
      ],
    },
    meanwhile: async ({ calls }) => {
      const call = await callIn({ calls } as Tacet, 'recording');
      await callIn({ calls } as Tacet, 'unrecorded');
      expect(await calls.record(call, order)).toMatchObject({ done: false });
    },
  });
  expect(await site.recordings()).toEqual([]);
  expect(events.find(({ kind }) => kind === 'call.ordered')).toMatchObject({ verb: 'private', done: true });
  expect(events.find(({ kind }) => kind === 'recording.destroyed')).toMatchObject({ reason: 'private-call' });
  expect(events.at(-1)).toMatchObject({ outcome: 'unrecorded', answered: true, recorded: false });
});

test('what a caller presses while a payment is made is in no recording: not as events, INFO or tones', async () => {
  await using site = await selectingSite({ campaign: { agentCodes: { payment: '*5', resume: '*6' } } });
  const tones = { onMs: 100, offMs: 60, lowDbm0: -10, highDbm0: -8 };
  const said = new Uint8Array(8 * (promptMs + 4_000)).fill(0xd5);
  const maskedMs = promptMs + graceMs + 1_300;
  said.set(encodePcma(dialled(['4', '1', '1'], tones, () => 0)), 8 * maskedMs);
  await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(maskedMs)
      .request('INFO', { body: { type: 'application/dtmf', text: '4' } })
      .pause(1_800)
      .hangsUp(),
    pbx: Scenario.pbx().answers().expect('INFO').reply().hungUp(),
    options: {
      caller: {
        audio: callAudio({
          g711: said,
          durationMs: promptMs + 4_000,
          keys: [{ digit: '4', atMs: maskedMs + 600 }],
        }),
      },
    },
    press: {
      pbx: [
        { digit: '*', atMs: 200 },
        { digit: '5', atMs: 500 },
        { digit: '*', atMs: 2_200 },
        { digit: '6', atMs: 2_500 },
      ],
    },
  });
  const [recording] = await site.recordings();
  expect(recording!.details!.gaps.filter(({ kind }) => kind === 'masked')).toHaveLength(2);
  const file = join(site.folder, 'recording.wav');
  await writeFile(file, await site.audio(recording!.header.recording));
  const { channels } = await readWav(file);
  expect(soundingMs(channels[0]!)).toBe(0);
  expect(JSON.stringify(await site.events())).not.toContain('"4"');
});

test("the agent's code has a call recorded that nobody drew", async () => {
  await using site = await selectingSite({
    campaign: { rate: 0, onDemand: true, agentCodes: { record: '*1' } },
  });
  const press = (text: string) => ({ body: { type: 'application/dtmf-relay', text: `Signal=${text}` } });
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .expect('INFO')
      .reply()
      .expect('INFO')
      .reply()
      .reinvited(talk, { has: ['m=audio'] })
      .pause(promptMs + 1_000)
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .pause(300)
      .request('INFO', press('*'))
      .request('INFO', press('1'))
      .reinvited(talk, { has: ['m=audio'] })
      .hungUp(),
    talkMs: 5_000,
  });
  expect(events.find(({ kind }) => kind === 'call.ordered')).toMatchObject({
    verb: 'record',
    by: 'agent',
    done: true,
  });
  expect(await site.recordings()).toMatchObject([{ state: 'complete' }]);
});

test('a caller hears the announcement once more by a key, and is told when it has ended', async () => {
  await using site = await selectingSite({ campaign: { repeatKeys: ['*'] } });
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(2 * promptMs + 1_600)
      .hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
    press: { caller: [{ digit: '*', atMs: promptMs - 300 }] },
  });
  expect(kindsOf(events).filter((kind) => kind === 'call.told')).toHaveLength(1);
  const answered = events.findIndex(({ kind }) => kind === 'call.told');
  expect(events[answered]).toMatchObject({ complete: true, heardMs: promptMs });
  expect(await site.recordings()).toHaveLength(1);
});

test('after a refusal Tacet leaves the media where the campaign says so', async () => {
  await using site = await selectingSite({ campaign: { releaseMedia: true } });
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .expect('INVITE', { has: ['Content-Length: 0'] })
      .reply('200 OK', { body: talk })
      .expect('ACK', { has: ['m=audio'] })
      .pause(200)
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .reinvited(talk, { has: ['o=- '] })
      .hungUp(),
    press: { caller: [{ digit: '2', atMs: 300 }] },
  });
  expect(events.at(-1)).toMatchObject({ outcome: 'refused' });
});

test('a PBX that does not let Tacet leave keeps it in the media, and the call goes on', async () => {
  await using site = await selectingSite({ campaign: { releaseMedia: true } });
  await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .expect('INVITE', { has: ['Content-Length: 0'] })
      .reply('200 OK', { body: talk })
      .expect('ACK', { has: ['o=tacet'] })
      .pause(300)
      .reinvite({ direction: 'sendonly' }, { has: ['o=tacet'] })
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .expect('INVITE')
      .reply('488 Not Acceptable Here')
      .expect('ACK')
      .reinvited({ direction: 'recvonly' }, { has: ['o=tacet'] })
      .hungUp(),
    press: { caller: [{ digit: '2', atMs: 300 }] },
  });
});

test('silent peers of which one no longer knows the call are released with the reason', async () => {
  await using site = await selectingSite({
    sip: { mediaTimeoutSeconds: 2 },
  });
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .expect('OPTIONS')
      .reply()
      .hungUp({ has: ['cause=408'] }),
    pbx: Scenario.pbx().answers().expect('OPTIONS').reply('481 Call/Transaction Does Not Exist').hungUp(),
    talkMs: bridgedMs,
  });
  expect(events.at(-1)).toMatchObject({ outcome: 'recorded' });
});
