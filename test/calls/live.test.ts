import { expect, test } from 'vitest';
import type { Tacet } from '../../agent/main.ts';
import type { LedgerEvent } from '../../agent/ledger/ledger.ts';
import { Sipp, runSipp } from '../peers/sipp.ts';
import { selectingSite } from './selecting-site.ts';
import { prepareSite, type Site, type SiteOptions } from './tacet-under-test.ts';

type Decision = Extract<LedgerEvent, { kind: 'call.decided' }>;

const supervisor = { by: 'anna', reason: 'a test' };
const called = '+33800000001';
/** As SIPp's caller names itself. */
const caller = '+33612345678';

/** Calls that nobody needs to be told anything for: each short, and none selected. */
async function callOnce(site: Site, talkMs = 200): Promise<void> {
  await using pbx = await Sipp.start({
    scenario: 'pbx-answers',
    port: site.pbxPorts[0]!,
    calls: 1,
    keys: { talk_ms: talkMs, ring_ms: 50 },
  });
  const result = await runSipp({
    scenario: 'caller-call',
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: called,
    keys: { talk_ms: talkMs, caller },
  });
  expect(result.exitCode, result.errors).toBe(0);
  expect((await pbx.finished()).exitCode).toBe(0);
}

async function decisions(site: Site): Promise<Decision[]> {
  return (await site.events()).filter((event) => event.kind === 'call.decided');
}

test.each<[reason: string, order: (tacet: Tacet) => Promise<unknown>, options?: SiteOptions]>([
  ['stopped', ({ live }) => live.stop(supervisor, { of: 'campaign', campaign: 'support-fr' })],
  ['stopped', ({ live }) => live.stop(supervisor, { of: 'site', site: 'test' })],
  ['objection', ({ live }) => live.object(supervisor, caller, 'training')],
  ['unknown-agent', ({ live }) => live.setAgent(supervisor, '4711', { protected: true })],
  [
    'protected-agent',
    ({ live }) => live.setAgent(supervisor, called, { protected: true, noticeOn: '2026-01-01' }),
  ],
  ['agent-without-notice', ({ live }) => live.setAgent(supervisor, called, { protected: false })],
  ['agent-without-notice', ({ live }) => live.setAgent(supervisor, called, { noticeOn: '2099-01-01' })],
  [
    'private-line',
    ({ live }) => live.setAgent(supervisor, called, { noticeOn: '2026-01-01', privateLines: [caller] }),
  ],
])('the next call is not drawn: %s', async (reason, order) => {
  await using site = await prepareSite();
  await using tacet = await site.start();
  await order(tacet);
  await callOnce(site);
  await tacet.drain();
  expect(await decisions(site)).toEqual([expect.objectContaining({ selected: false, reason })]);
  expect(await site.recordings()).toEqual([]);
});

test('a rate that is set acts on the next call, and the ledger has the change before it', async () => {
  await using site = await prepareSite();
  await using tacet = await site.start();
  await tacet.live.set(supervisor, 'support-fr', { rate: 0 });
  await callOnce(site);
  await tacet.drain();
  const kinds = (await site.events()).map(({ kind }) => kind);
  expect(kinds.indexOf('campaigns.changed')).toBeLessThan(kinds.indexOf('call.decided'));
  expect(await decisions(site)).toEqual([
    expect.objectContaining({ selected: false, reason: 'quota', rate: 0 }),
  ]);
});

test('a protected agent who answers at the PBX is not recorded, though the call was drawn and told', async () => {
  await using site = await selectingSite({ config: { agents: { unknown: 'recorded' } } });
  await using tacet = await site.start();
  // As SIPp's PBX names itself in its Contact.
  await tacet.live.setAgent(supervisor, 'service', { protected: true });
  await callOnce(site, 2_500);
  await tacet.drain();
  const events = await site.events();
  expect(events.find(({ kind }) => kind === 'call.told')).toMatchObject({ complete: true });
  expect(events.some(({ kind }) => kind === 'recording.allowed')).toBe(false);
  expect(events.at(-1)).toMatchObject({ outcome: 'unrecorded', answered: true });
});

test('with a Redis that cannot be reached, what others changed is not known: nothing is drawn, the call goes through', async () => {
  await using site = await prepareSite({ config: { redis: { url: 'redis://127.0.0.1:1' } } });
  await using tacet = await site.start();
  await callOnce(site);
  await tacet.drain();
  expect(await decisions(site)).toEqual([
    expect.objectContaining({ selected: false, reason: 'changes-unknown' }),
  ]);
});
