import { expect, test } from 'vitest';
import { callAudio } from '../peers/pcap.ts';
import { Phone } from '../peers/baresip.ts';
import { Scenario } from '../peers/scenario.ts';
import { Sipp } from '../peers/sipp.ts';
import { expectNothingLeft, selectingSite } from './selecting-site.ts';

const talk = { direction: 'sendrecv' } as const;
const speech = new URL('../../config/prompts/demo/agent-fr.wav', import.meta.url).pathname;

/** A site whose one PBX is a telephone that picks up by itself. */
async function siteOf(phone: Phone) {
  return selectingSite({
    config: {
      pbxs: [
        {
          name: 'pbx-0',
          sources: ['127.0.0.1'],
          ports: [phone.port],
          uri: phone.uri,
          routes: ['carrier'],
          health: { intervalSeconds: 0 },
        },
      ],
    },
    campaign: { agentCodes: { pause: '*7', resume: '*8' } },
  });
}

test('a real telephone pauses by keys, holds, resumes and hangs up: the recording has both gaps and goes on', async () => {
  await using phone = await Phone.start({ user: '+33800000001', speech, lastsMs: 30_000, answers: 'auto' });
  await using site = await siteOf(phone);
  await using tacet = await site.start();
  await using caller = await Sipp.start({
    scenario: {
      xml: Scenario.caller()
        .answered()
        .reinvited({ direction: 'recvonly' }, { has: ['a=sendonly'] })
        .reinvited(talk, { has: ['a=sendrecv'] })
        .hungUp().xml,
    },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    audio: callAudio({ durationMs: 12_000 }),
  });
  await phone.saw('CALL_ESTABLISHED', 20_000);
  await expect.poll(() => tacet.calls.list()[0]?.state, { timeout: 10_000 }).toBe('recording');
  await phone.press('*7');
  await expect.poll(() => tacet.calls.list()[0]?.state, { timeout: 10_000 }).toBe('paused');
  await phone.press('*8');
  await expect.poll(() => tacet.calls.list()[0]?.state, { timeout: 10_000 }).toBe('recording');
  await phone.hold();
  await caller.saw(/^ACK /u, 2);
  await phone.resume();
  await caller.saw(/^ACK /u, 3);
  await phone.hangUp();
  const result = await caller.finished();
  expect(result.exitCode, result.errors + result.output.slice(-1_000)).toBe(0);
  await tacet.drain();
  expectNothingLeft(tacet);
  expect((await site.events()).at(-1)).toMatchObject({ outcome: 'recorded' });
  const [recording] = await site.recordings();
  const gaps = new Set(recording!.details!.gaps.map(({ kind }) => kind));
  expect([...gaps]).toEqual(expect.arrayContaining(['paused', 'hold']));
});

test('a real telephone transfers blindly: its REFER reaches the carrier', async () => {
  await using phone = await Phone.start({ user: '+33800000001', speech, lastsMs: 30_000, answers: 'auto' });
  await using site = await siteOf(phone);
  await using tacet = await site.start();
  await using caller = await Sipp.start({
    scenario: {
      xml: Scenario.caller()
        .answered()
        .expect('REFER', { has: ['sip:.33700000007@'] })
        .reply('202 Accepted')
        .pause(200)
        .hangsUp().xml,
    },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    audio: callAudio({ durationMs: 8_000 }),
  });
  await expect.poll(() => tacet.calls.list()[0]?.state, { timeout: 10_000 }).toBe('recording');
  await phone.command('transfer', 'sip:+33700000007@192.0.2.7');
  const result = await caller.finished();
  expect(result.exitCode, result.errors + result.output.slice(-1_000)).toBe(0);
  await tacet.drain();
  expectNothingLeft(tacet);
});
