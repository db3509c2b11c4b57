import { expect, test } from 'vitest';
import type { Tacet } from '../../agent/main.ts';
import type { CallState } from '../../agent/call/registry.ts';
import type { CallId } from '../../config/units.ts';
import { Scenario } from '../peers/scenario.ts';
import { kindsOf, playCall, promptMs, selectingSite } from './selecting-site.ts';

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
