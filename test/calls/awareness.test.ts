/** The agent's side told whether it is recorded (RFC 7866 section 6.2), by whole calls: SIPp is the PBX that wants to know. */
import { expect, test } from 'vitest';
import { Scenario } from '../peers/scenario.ts';
import { playCall, promptMs, selectingSite } from './selecting-site.ts';

const talk = { direction: 'sendrecv' } as const;
const aware = () => ({ recordAware: true });

test('a recording begins and is refused: the PBX is told both, the caller neither', async () => {
  await using site = await selectingSite({ pbx: aware });
  const { events, caller } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(promptMs + 2_500)
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .reinvited(talk, { has: ['a=record:on'] })
      .reinvited(talk, { has: ['a=record:off'] })
      .hungUp(),
    press: { caller: [{ digit: '2', atMs: promptMs + 1_500 }] },
    talkMs: promptMs + 3_500,
  });
  expect(events.at(-1)).toMatchObject({ outcome: 'refused' });
  expect(caller.messages.filter(({ text }) => text.includes('a=record'))).toEqual([]);
});

test('what the PBX asks for later is answered with how it stands', async () => {
  await using site = await selectingSite({ pbx: aware });
  const { events } = await playCall(site, {
    caller: Scenario.caller().answered().reinvited({ direction: 'recvonly' }).pause(1_500).hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .reinvited(talk, { has: ['a=record:on'] })
      .pause(300)
      .reinvite({ direction: 'sendonly' }, { has: ['a=record:on'] })
      .hungUp(),
    talkMs: promptMs + 4_000,
  });
  expect(events.at(-1)).toMatchObject({ outcome: 'recorded' });
});

test('an agent who is paused and goes on sees both', async () => {
  await using site = await selectingSite({ pbx: aware });
  const order = { by: 'ann', reason: 'card number' };
  await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(promptMs + 2_500)
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .reinvited(talk, { has: ['a=record:on'] })
      .reinvited(talk, { has: ['a=record:paused'] })
      .reinvited(talk, { has: ['a=record:on'] })
      .hungUp(),
    talkMs: promptMs + 3_500,
    meanwhile: async ({ calls }) => {
      const state = async (wanted: string): Promise<void> =>
        expect.poll(() => calls.list()[0]?.state, { timeout: 10_000, interval: 20 }).toBe(wanted);
      await state('recording');
      const { call } = calls.list()[0]!;
      expect(await calls.pause(call, order)).toEqual({ done: true });
      await state('paused');
      expect(await calls.resume(call, order)).toEqual({ done: true });
    },
  });
});

test('a PBX that did not ask is told nothing', async () => {
  await using site = await selectingSite();
  const { pbx } = await playCall(site, {
    caller: Scenario.caller().answered().pause(1_500).hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
  });
  expect(pbx.messages.filter(({ text }) => text.includes('a=record'))).toEqual([]);
});
