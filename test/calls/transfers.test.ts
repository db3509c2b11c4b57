import { expect, test } from 'vitest';
import { callAudio } from '../peers/pcap.ts';
import { Scenario } from '../peers/scenario.ts';
import { Sipp } from '../peers/sipp.ts';
import { expectNothingLeft, kindsOf, playCall, promptMs, selectingSite } from './selecting-site.ts';

const talk = { direction: 'sendrecv' } as const;
const bridgedMs = promptMs + 800;
const sipfrag = (status: string) => ({ type: 'message/sipfrag', text: `SIP/2.0 ${status}` });

test('a REFER is passed to the other side, its progress comes back, and the recording goes on', async () => {
  await using site = await selectingSite();
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .expect('REFER', { has: ['efer-.o: <sip:200@192.0.2.7>', 'eferred-.y: <sip:ann@x>'] })
      .reply('202 Accepted')
      .request('NOTIFY', {
        headers: ['Event: refer', 'Subscription-State: terminated'],
        body: sipfrag('503 Service Unavailable'),
      })
      .pause(300)
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .pause(300)
      .request('REFER', { headers: ['Refer-To: <sip:200@192.0.2.7>', 'Referred-By: <sip:ann@x>'] }, 202)
      .expect('NOTIFY', { has: ['503 Service Unavailable', 'vent: refer'] })
      .reply()
      .hungUp(),
  });
  expect(events.at(-1)).toMatchObject({ outcome: 'recorded' });
});

test('a PBX that transfers within itself says who is there now: it is noted and passed on', async () => {
  await using site = await selectingSite();
  const { events } = await playCall(site, {
    caller: Scenario.caller({ body: talk, headers: ['Allow: INVITE, ACK, BYE, UPDATE'] })
      .answered()
      .expect('UPDATE', { has: ['P-Asserted-Identity: <sip:207@pbx>'] })
      .reply()
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .pause(300)
      .request('UPDATE', { headers: ['P-Asserted-Identity: <sip:207@pbx>'] })
      .hungUp(),
  });
  const party = events.find((event) => event.kind === 'call.party');
  expect(party).toMatchObject({ side: 'agent', by: 'identity' });
  expect(party?.party).toMatch(/^[0-9a-f]+$/u);
});

/** A call that the PBX transfers to an outside party, carried out by Tacet; the target does `then` when it has answered. */
async function transferOutside(
  site: Awaited<ReturnType<typeof selectingSite>>,
  then: (target: Scenario) => Scenario,
  meanwhile: (caller: Scenario) => Scenario = (caller) => caller,
): Promise<Awaited<ReturnType<typeof site.events>>> {
  await using tacet = await site.start();
  const audio = callAudio({ durationMs: 6_000 });
  await using target = await Sipp.start({
    scenario: {
      xml: then(Scenario.pbx({ has: ['INVITE sip:.33700000007@'] }).answers()).hungUp().xml,
    },
    port: site.carrierPort,
    calls: 1,
    audio,
  });
  await using pbx = await Sipp.start({
    scenario: {
      xml: Scenario.pbx()
        .answers()
        .pause(500)
        .request('REFER', { headers: ['Refer-To: <sip:+33700000007@192.0.2.7>'] }, 202)
        .expect('NOTIFY', { has: ['SIP/2.0 100 Trying'] })
        .reply()
        .expect('NOTIFY', { has: ['SIP/2.0 200 OK', 'terminated'] })
        .reply()
        .hungUp().xml,
    },
    port: site.pbxPorts[0]!,
    calls: 1,
    audio,
  });
  await using caller = await Sipp.start({
    scenario: {
      xml: meanwhile(Scenario.caller().answered().reinvited(talk))
        .pause(promptMs + 2_000)
        .hangsUp().xml,
    },
    target: { port: site.sipPort },
    port: site.otherCarrierPort,
    service: '+33800000001',
    audio,
  });
  for (const each of [caller, pbx, target]) {
    const result = await each.finished();
    expect(result.exitCode, result.errors + result.output.slice(-1_000)).toBe(0);
  }
  await tacet.drain();
  expectNothingLeft(tacet);
  return await site.events();
}

test('Tacet carries out a transfer: the new outside party is told before capture goes on, in the same recording', async () => {
  await using site = await selectingSite({ sip: { transfers: 'handle' } });
  const events = await transferOutside(site, (target) => target);
  expect(kindsOf(events)).toEqual([
    'call.decided',
    'call.told',
    'recording.allowed',
    'call.party',
    'call.told',
    'recording.closed',
    'call.ended',
  ]);
  expect(events.find((event) => event.kind === 'call.party')).toMatchObject({
    side: 'agent',
    by: 'transfer',
  });
  const [recording] = await site.recordings();
  const untold = recording!.details!.gaps.filter(({ kind, side }) => kind === 'paused' && side === 'caller');
  expect(untold).toHaveLength(1);
  expect(untold[0]!.toMs - untold[0]!.fromMs).toBeGreaterThanOrEqual(promptMs);
});

test('an outside party that came in by transfer may refuse after it was told, until hang-up: nothing is kept', async () => {
  await using site = await selectingSite({ sip: { transfers: 'handle' } });
  const key = { type: 'application/dtmf-relay', text: 'Signal=2\nDuration=160' };
  const events = await transferOutside(
    site,
    (target) => target.pause(promptMs + 1_200).request('INFO', { body: key }),
    (caller) => caller.expect('INFO').reply(),
  );
  expect(kindsOf(events).slice(-4)).toEqual([
    'call.told',
    'recording.destroyed',
    'call.refused',
    'call.ended',
  ]);
  expect(events.at(-1)).toMatchObject({ outcome: 'refused', recorded: false });
  expect(await site.recordings()).toEqual([]);
});

test('a transfer whose target is busy leaves the call as it was, recorded', async () => {
  await using site = await selectingSite({ sip: { transfers: 'handle' } });
  await using tacet = await site.start();
  const audio = callAudio({ durationMs: 5_000 });
  await using target = await Sipp.start({
    scenario: { xml: Scenario.pbx().responds('486 Busy Here').expect('ACK').xml },
    port: site.carrierPort,
    calls: 1,
  });
  await using pbx = await Sipp.start({
    scenario: {
      xml: Scenario.pbx()
        .answers()
        .pause(500)
        .request('REFER', { headers: ['Refer-To: <sip:+33700000007@192.0.2.7>'] }, 202)
        .expect('NOTIFY', { has: ['SIP/2.0 100 Trying'] })
        .reply()
        .expect('NOTIFY', { has: ['SIP/2.0 486 Busy Here', 'terminated'] })
        .reply()
        .hungUp().xml,
    },
    port: site.pbxPorts[0]!,
    calls: 1,
    audio,
  });
  await using caller = await Sipp.start({
    scenario: {
      xml: Scenario.caller()
        .answered()
        .pause(bridgedMs + 1_500)
        .hangsUp().xml,
    },
    target: { port: site.sipPort },
    port: site.otherCarrierPort,
    service: '+33800000001',
    audio,
  });
  for (const each of [caller, pbx, target]) {
    const result = await each.finished();
    expect(result.exitCode, result.errors + result.output.slice(-1_000)).toBe(0);
  }
  await tacet.drain();
  expect((await site.events()).at(-1)).toMatchObject({ outcome: 'recorded' });
  const [recording] = await site.recordings();
  expect(recording!.details!.gaps.filter(({ kind }) => kind === 'paused')).toEqual([]);
});

test('an INVITE that replaces a dialog of nobody gets 481', async () => {
  await using site = await selectingSite();
  await using _tacet = await site.start();
  await using caller = await Sipp.start({
    scenario: {
      xml: Scenario.caller({ body: talk, headers: ['Replaces: a@b;to-tag=1;from-tag=2'] }).rejected(481).xml,
    },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
  });
  const result = await caller.finished();
  expect(result.exitCode, result.errors).toBe(0);
});
