/** Peers that want things of their own: a carrier that nobody believes, sessions of other lengths, events, silence. */
import { expect, test } from 'vitest';
import { callAudio } from '../peers/pcap.ts';
import { Scenario } from '../peers/scenario.ts';
import { Sipp } from '../peers/sipp.ts';
import { Capture } from '../peers/tshark.ts';
import { graceMs, kindsOf, playCall, promptMs, selectingSite } from './selecting-site.ts';

const talk = { direction: 'sendrecv' } as const;
const timer = 'Supported: timer';
const nobodySays = '+33188888888';

test('a carrier that is not believed keeps a short session, the PBX a long one, and events pass between them', async () => {
  await using site = await selectingSite({ trunk: { trusted: false } });
  const { caller, pbx, events } = await playCall(site, {
    caller: Scenario.caller({
      body: talk,
      headers: [
        `P-Asserted-Identity: <sip:${nobodySays}@carrier>`,
        timer,
        'Session-Expires: 90;refresher=uac',
        'Min-SE: 90',
      ],
    })
      .answered({}, { has: ['Session-Expires: 90;refresher=uac'] })
      .expect('SUBSCRIBE', { has: ['vent: dialog', 'Expires: 60'] })
      .reply('202 Accepted', { headers: ['Expires: 60'] })
      .request('UPDATE', { headers: [timer, 'Session-Expires: 90;refresher=uac'] }, 200, {
        has: ['Session-Expires: 90;refresher=uac'],
      })
      .request('NOTIFY', {
        headers: ['Event: dialog', 'Subscription-State: active;expires=60'],
        body: { type: 'application/dialog-info+xml', text: '<dialog-info/>' },
      })
      .hangsUp(),
    pbx: Scenario.pbx({ has: ['Session-Expires: 1800', 'Supported:.*timer'] })
      .responds('422 Session Interval Too Small', { headers: ['Min-SE: 7200'] })
      .expect('ACK')
      .invited({ has: ['Session-Expires: 7200', 'Min-SE: 7200'] })
      .responds('200 OK', {
        body: talk,
        headers: [timer, 'Session-Expires: 7200;refresher=uac', 'P-Asserted-Identity: <sip:207@pbx>'],
      })
      .expect('ACK')
      .play()
      .pause(300)
      .request('SUBSCRIBE', { headers: ['Event: dialog', 'Expires: 60'] }, 202, { has: ['Expires: 60'] })
      .expect('NOTIFY', { has: ['Event: dialog', 'Subscription-State: active;expires=60', '<dialog-info'] })
      .reply()
      .hungUp(),
  });
  expect(pbx.messages.some(({ startLine }) => startLine.startsWith('UPDATE'))).toBe(false);
  const told = pbx.messages.filter(({ direction }) => direction === 'received').map(({ text }) => text);
  expect(told.join('')).not.toContain(nobodySays);
  expect(told[0]).toMatch(/^From: .*\+33199000001@/mu);
  const answers = caller.messages.filter(({ direction }) => direction === 'received').map(({ text }) => text);
  expect(answers.join('')).not.toMatch(/^P-Asserted-Identity/mu);
  expect(kindsOf(events)).toEqual([
    'call.decided',
    'call.told',
    'recording.allowed',
    'recording.closed',
    'call.ended',
  ]);
});

test('an INVITE that wants its session shorter than anybody may is told how long it must be', async () => {
  await using site = await selectingSite();
  await using _tacet = await site.start();
  await using caller = await Sipp.start({
    scenario: {
      xml: Scenario.caller({ body: talk, headers: [timer, 'Session-Expires: 30'] }).rejected(422).xml,
    },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
  });
  const result = await caller.finished();
  expect(result.exitCode, result.errors).toBe(0);
  const refusal = result.messages.find(({ startLine }) => startLine.startsWith('SIP/2.0 422'))!;
  expect(refusal.text).toMatch(/^Min-SE: 90\r?$/mu);
});

test('a party that is not heard while the other is gives one-way audio to the metrics, once, and the call goes on', async () => {
  await using site = await selectingSite({ sip: { mediaTimeoutSeconds: 2 } });
  const { events } = await playCall(site, {
    caller: Scenario.caller().answered().hungUp(),
    pbx: Scenario.pbx().responds('200 OK', { body: talk }).expect('ACK').hungUp(),
    talkMs: 20_000,
    async meanwhile(tacet) {
      const oneWay = async (): Promise<string> =>
        (await fetch(`http://127.0.0.1:${tacet.http.port}/metrics`)).text();
      await expect
        .poll(oneWay, { timeout: 20_000 })
        .toMatch(/^tacet_media_silent_total\{.*"one-way".*\} 1$/mu);
      const enough = new AbortController();
      const drained = tacet.drain(enough.signal);
      enough.abort();
      await drained;
    },
  });
  expect(events.findLast((event) => event.kind === 'call.ended')).toMatchObject({ outcome: 'recorded' });
});

test('the caller hears no hole but the time to refuse: from the announcement to the ringing, and from there to the agent', async () => {
  await using site = await selectingSite();
  await using _tacet = await site.start();
  await using pbx = await Sipp.start({
    scenario: {
      xml: Scenario.pbx()
        .responds('180 Ringing')
        .pause(3_000)
        .responds('200 OK', { body: talk })
        .expect('ACK')
        .play()
        .hungUp().xml,
    },
    port: site.pbxPorts[0]!,
    calls: 1,
    audio: callAudio({ durationMs: 6_000 }),
  });
  await using caller = await Sipp.start({
    scenario: {
      xml: Scenario.caller()
        .answered()
        .pause(promptMs + graceMs + 4_000)
        .hangsUp().xml,
    },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    audio: callAudio({ durationMs: 6_000 }),
  });
  await using wire = await Capture.start(`udp dst port ${caller.mediaPort}`);
  for (const each of [caller, pbx]) expect((await each.finished()).exitCode).toBe(0);
  await wire.stop();
  const heard = await wire.packets('rtp', ['frame.time_epoch']);
  const at = heard.map((packet) => Number(packet['frame.time_epoch']) * 1_000);
  const holes = at.slice(1).map((time, index) => time - at[index]!);
  expect(heard.length).toBeGreaterThan(100);
  // Measured: 225 ms, of which 200 are the time to refuse. Without the ringing it would be more than three seconds.
  expect(Math.max(...holes)).toBeLessThan(2_000);
});
