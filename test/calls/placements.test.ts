import { expect, test } from 'vitest';
import { Scenario } from '../peers/scenario.ts';
import { kindsOf, playCall, promptMs, selectingSite } from './selecting-site.ts';

const talk = { direction: 'sendrecv' } as const;
const recorded = ['call.decided', 'call.told', 'recording.allowed', 'recording.closed', 'call.ended'];

/** A caller who hears 183 with SDP, plays its audio, and is answered later. */
const earlyCaller = (headers: string[] = []): Scenario =>
  Scenario.caller({ body: talk, headers })
    .progressed('183', { has: ['m=audio'] })
    .play();

test('told in early media: nobody has answered yet, then the agent is called and the conversation recorded', async () => {
  await using site = await selectingSite({ campaign: { announcement: { placement: 'early-media' } } });
  const { events, caller } = await playCall(site, {
    caller: earlyCaller().takes200().pause(600).hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
  });
  expect(kindsOf(events)).toEqual(recorded);
  const sdp = caller.messages
    .filter(({ direction, startLine }) => direction === 'received' && /^SIP\/2.0 (183|200)/u.test(startLine))
    .filter(({ text }) => text.includes('m=audio'))
    .map(({ text }) => text.split('\r\n\r\n').at(-1)?.trim());
  expect(new Set(sdp).size).toBe(1);
});

test('a refusal key before anybody answers is a refusal', async () => {
  await using site = await selectingSite({ campaign: { announcement: { placement: 'early-media' } } });
  const { events } = await playCall(site, {
    caller: earlyCaller().takes200().pause(300).hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
    press: { caller: [{ digit: '2', atMs: 300 }] },
  });
  expect(events.at(-1)).toMatchObject({ outcome: 'refused' });
  expect(await site.recordings()).toEqual([]);
});

test('a busy agent of a caller who was told in early media is a 486, for nobody has answered', async () => {
  await using site = await selectingSite({ campaign: { announcement: { placement: 'early-media' } } });
  await playCall(site, {
    caller: earlyCaller().rejected(486),
    pbx: Scenario.pbx().responds('486 Busy Here').expect('ACK'),
  });
});

test('a caller that requires reliable provisional responses gets them', async () => {
  await using site = await selectingSite({ campaign: { announcement: { placement: 'early-media' } } });
  const { events } = await playCall(site, {
    caller: Scenario.caller({ body: talk, headers: ['Require: 100rel', 'Supported: 100rel'] })
      .reliably('183', { has: ['RSeq: ', 'Require: 100rel'] })
      .pracks()
      .play()
      .takes200()
      .pause(400)
      .hangsUp(),
    pbx: Scenario.pbx({ has: ['Supported: .*100rel'] })
      .answers()
      .hungUp(),
  });
  expect(kindsOf(events)).toEqual(recorded);
});

test.each(['prompt', 'tone'] as const)(
  'inbound on answer: the agent answers first and hears the %s while the caller is told',
  async (agentHears) => {
    await using site = await selectingSite({
      campaign: { announcement: { placement: 'on-answer', agentHears } },
    });
    const { events } = await playCall(site, {
      caller: Scenario.caller()
        .answered()
        .pause(promptMs + 1_000)
        .hangsUp(),
      pbx: Scenario.pbx().answers().hungUp(),
    });
    expect(kindsOf(events)).toEqual(recorded);
  },
);

test.each([0, 1])(
  'an answer in a reliable 183 alone reaches the caller in the 200 (rate %i)',
  async (rate) => {
    await using site = await selectingSite({ campaign: { rate } });
    await playCall(site, {
      caller: Scenario.caller()
        .answered({}, { has: ['m=audio'] })
        .pause(rate * promptMs + 1_200)
        .hangsUp(),
      pbx: Scenario.pbx({ has: ['Supported: .*100rel'] })
        .responds('183 Session Progress', { body: talk, headers: ['Require: 100rel', 'RSeq: 1'] })
        .expect('PRACK', { has: ['RAck: 1 '] })
        .reply()
        .responds('200 OK')
        .expect('ACK')
        .play()
        .hungUp(),
    });
  },
);
