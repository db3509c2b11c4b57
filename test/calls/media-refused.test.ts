/** A PBX that will not have our media: the call goes on all the same, unrecorded (I4). SIPp plays the PBX, and refuses SRTP. */
import { expect, test } from 'vitest';
import { Scenario } from '../peers/scenario.ts';
import { playCall, selectingSite } from './selecting-site.ts';

const talk = { direction: 'sendrecv' } as const;
const caller = (): Scenario => Scenario.caller();
const early = (): Scenario =>
  Scenario.caller()
    .progressed('183', { has: ['m=audio'] })
    .play()
    .takes200();

test.each([
  ['before-connect', caller().answered().reinvited(talk)],
  ['early-media', early().reinvited(talk)],
  ['on-answer', caller().answered()],
] as const)(
  'a PBX that refuses SRTP is called again without us, the caller told %s',
  async (placement, calling) => {
    await using site = await selectingSite({
      campaign: { announcement: { placement } },
      pbx: () => ({ srtp: 'require' }),
    });
    const { events, pbx } = await playCall(site, {
      caller: calling.pause(500).hangsUp(),
      pbx: Scenario.pbx({}, 'RTP/SAVP').answers().hungUp(),
      options: { pbx: { calls: 2 } },
    });
    expect(events.at(-1)).toMatchObject({ outcome: 'unrecorded', answered: true });
    expect(await site.recordings()).toEqual([]);
    const offered = pbx.messages
      .filter(({ direction, text }) => direction === 'received' && text.startsWith('INVITE '))
      .map(({ text }) => /m=audio \d+ (?<profile>\S+)/u.exec(text)?.groups?.['profile']);
    expect(offered).toEqual(['RTP/SAVP', 'RTP/AVP']);
  },
);

test('a PBX that answers without the keys it must have: caller and agent describe themselves to each other', async () => {
  await using site = await selectingSite({ pbx: () => ({ srtp: 'require' }) });
  const { events, caller: called } = await playCall(site, {
    caller: caller().answered().reinvited(talk).pause(500).hangsUp(),
    pbx: Scenario.pbx({ has: ['RTP/SAVP'] })
      .answers()
      .reinvited(talk, { has: ['RTP/AVP'] })
      .hungUp(),
  });
  expect(events.at(-1)).toMatchObject({ outcome: 'unrecorded', answered: true });
  expect(called.messages.filter(({ text }) => text.includes('a=crypto'))).toEqual([]);
});

test('a caller who will not be moved is told that there is no way, after the PBX was asked', async () => {
  await using site = await selectingSite({ pbx: () => ({ srtp: 'require' }) });
  const { events } = await playCall(site, {
    caller: caller().answered().expect('INVITE').reply('488 Not Acceptable Here').expect('ACK').hungUp(),
    pbx: Scenario.pbx({}, 'RTP/SAVP').answers().hungUp(),
    options: { pbx: { calls: 2 } },
    talkMs: 8_000,
  });
  expect(events.at(-1)).toMatchObject({ outcome: 'rejected' });
});
