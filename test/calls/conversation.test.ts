import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { startTacet } from '../../agent/main.ts';
import { callAudio } from '../peers/pcap.ts';
import { pcma, pcmu, telephoneEvent } from '../peers/sipp.ts';
import { readWav, soundingMs } from '../peers/wav.ts';
import { Scenario } from '../peers/scenario.ts';
import { kindsOf, playCall, promptMs, selectingSite } from './selecting-site.ts';

const talk = { direction: 'sendrecv' } as const;
/** From the caller's answer until both talk: prompt, grace, ringing. */
const bridgedMs = promptMs + 800;

test.each([
  ['sendonly', { direction: 'sendonly' }, 'a=sendonly', 'recvonly'],
  ['inactive', { direction: 'inactive' }, 'a=inactive', 'inactive'],
  ['the address of nought', { direction: 'sendrecv', address: '0.0.0.0' }, 'a=sendonly', 'recvonly'],
  ['the address of nought of IPv6', { direction: 'sendrecv', address: '::' }, 'a=sendonly', 'recvonly'],
] as const)(
  'a hold by %s reaches the other side computed, is answered within its offer, and stops the capture until the resume',
  async (_name, hold, seen, answer) => {
    await using site = await selectingSite();
    const { events } = await playCall(site, {
      caller: Scenario.caller()
        .answered()
        .pause(bridgedMs)
        .reinvite(hold, { has: [`a=${answer}`] })
        .pause(400)
        .reinvite(talk, { has: ['a=sendrecv'] })
        .pause(400)
        .hangsUp(),
      pbx: Scenario.pbx()
        .answers()
        .reinvited({ direction: answer }, { has: [seen, 'c=IN IP4 127'] })
        .reinvited(talk, { has: ['a=sendrecv'] })
        .hungUp(),
    });
    expect(kindsOf(events)).toContain('recording.closed');
    const [recording] = await site.recordings();
    const holds = recording!.details!.gaps.filter(({ kind }) => kind === 'hold');
    expect(holds.map(({ side }) => side).sort()).toEqual(['agent', 'caller']);
  },
);

test.each(['0.0.0.0', '::'])(
  'while media flows directly a hold by %s crosses as it was said',
  async (address) => {
    await using site = await selectingSite({ campaign: { rate: 0 } });
    const version = address === '::' ? 6 : 4;
    await playCall(site, {
      caller: Scenario.caller()
        .answered()
        .pause(300)
        .reinvite({ direction: 'sendrecv', address }, { has: ['a=recvonly'] })
        .pause(200)
        .reinvite(talk, { has: ['a=sendrecv'] })
        .hangsUp(),
      pbx: Scenario.pbx()
        .answers()
        .reinvited({ direction: 'recvonly' }, { has: [`c=IN IP${version} ${address}`] })
        .reinvited(talk, { has: ['a=sendrecv'] })
        .hungUp(),
    });
  },
);

test('another codec in mid-call, agreed by both parties: the recording has what was said in either', async () => {
  await using site = await selectingSite();
  const other = { ...talk, formats: [pcmu, telephoneEvent()] };
  const loud = new Uint8Array(8_000 * 4).map((_, at) => (at % 8 < 4 ? 0x10 : 0x90));
  const silence = callAudio({ durationMs: 1_000, firstTimestamp: 8_000, firstSequence: 100, ssrc: 7 });
  const sound = callAudio({
    ...{ g711: loud, durationMs: 3_000, payloadType: 0 },
    ...{ firstTimestamp: 16_000, firstSequence: 150, ssrc: 7 },
  }).map(({ atMs, packet }) => ({ atMs: atMs + 1_000, packet }));
  await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .expect('INVITE', { has: ['m=audio [0-9]+ RTP/AVP 0 '] })
      .reply('200 OK', { body: other })
      .expect('ACK')
      .pause(2_500)
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .pause(600)
      .reinvite(other, { has: ['m=audio [0-9]+ RTP/AVP 0 '] })
      .hungUp(),
    options: { caller: { formats: [pcma, pcmu, telephoneEvent()] }, pbx: { audio: [...silence, ...sound] } },
  });
  const [recording] = await site.recordings();
  const file = join(site.folder, 'recording.wav');
  await writeFile(file, await site.audio(recording!.header.recording));
  const { channels } = await readWav(file);
  expect(soundingMs(channels[1]!)).toBeGreaterThan(1_000);
});

test.each([0, 1])('a call that lasts too long is ended on both sides (rate %i)', async (rate) => {
  await using site = await selectingSite({ campaign: { rate } });
  const short = async () => {
    const { config, ...loaded } = await site.load();
    return startTacet({ ...loaded, config: { ...config, sip: { ...config.sip, maxCallMinutes: 0.02 } } });
  };
  const { events } = await playCall(
    { ...site, start: short },
    { caller: Scenario.caller().answered().hungUp(), pbx: Scenario.pbx().answers().hungUp() },
  );
  expect(events.at(-1)).toMatchObject({ outcome: rate === 0 ? 'unselected' : 'recorded' });
});

test('a hold of both sides ends when both have resumed, in whatever order', async () => {
  await using site = await selectingSite();
  await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(bridgedMs)
      .reinvite({ direction: 'sendonly' }, { has: ['a=recvonly'] })
      .reinvited({ direction: 'inactive' }, { has: ['a=inactive'] })
      // The caller resumes first: the PBX still holds.
      .reinvite(talk, { has: ['a=sendonly'] })
      .reinvited(talk, { has: ['a=sendrecv'] })
      .pause(300)
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .reinvited({ direction: 'recvonly' }, { has: ['a=sendonly'] })
      .pause(100)
      .reinvite({ direction: 'inactive' }, { has: ['a=inactive'] })
      .reinvited({ direction: 'sendonly' }, { has: ['a=sendrecv'] })
      .pause(100)
      .reinvite(talk, { has: ['a=sendrecv'] })
      .hungUp(),
  });
  const [recording] = await site.recordings();
  expect(recording!.details!.gaps.filter(({ kind }) => kind === 'hold')).toHaveLength(2);
});

test('an INVITE without SDP is offered ours in the 200, answered in the ACK, told and recorded', async () => {
  await using site = await selectingSite();
  const { events } = await playCall(site, {
    caller: Scenario.caller({})
      .answered({ body: talk }, { has: ['m=audio'] })
      .pause(bridgedMs + 500)
      .hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
  });
  expect(kindsOf(events)).toEqual([
    'call.decided',
    'call.told',
    'recording.allowed',
    'recording.closed',
    'call.ended',
  ]);
});

test('an INVITE without SDP whose ACK has none either is released with a reason', async () => {
  await using site = await selectingSite();
  await using tacet = await site.start();
  const { Sipp } = await import('../peers/sipp.ts');
  await using calling = await Sipp.start({
    scenario: {
      xml: Scenario.caller({})
        .answeredInSilence()
        .hungUp({ has: ['Reason: SIP;cause=488'] }).xml,
    },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
  });
  const result = await calling.finished();
  expect(result.exitCode, result.errors).toBe(0);
  await tacet.drain();
  expect((await site.events()).at(-1)).toMatchObject({ kind: 'call.ended', outcome: 'abandoned' });
});

test('a re-INVITE without SDP asks the other side, and the recording goes on', async () => {
  await using site = await selectingSite();
  await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(bridgedMs)
      .reinvite(undefined, { has: ['m=audio', 'a=sendrecv'] }, { body: talk })
      .pause(300)
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .expect('INVITE')
      .reply('200 OK', { body: talk })
      .expect('ACK', { has: ['m=audio', 'a=sendrecv'] })
      .hungUp(),
  });
  expect(await site.recordings()).toMatchObject([{ state: 'complete' }]);
});

test('a refresh with the same SDP is answered at once and concerns neither the other side nor the recording', async () => {
  await using site = await selectingSite();
  // SIPp numbers its descriptions: the same body again is one given as text.
  const same = (port: string) => ({
    type: 'application/sdp',
    text: `v=0\no=- 7 7 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio ${port} RTP/AVP 8\na=sendrecv`,
  });
  await playCall(site, {
    caller: Scenario.caller({ body: same('[auto_media_port]') })
      .answered()
      .pause(bridgedMs)
      .reinvite(same('[auto_media_port]'), { has: ['m=audio'] })
      .request('UPDATE')
      .request('UPDATE', { body: same('[auto_media_port]') }, 200, { has: ['m=audio'] })
      .hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
  });
  const [recording] = await site.recordings();
  expect(recording!.details!.gaps.filter(({ kind }) => kind === 'hold')).toEqual([]);
});

test('a rejected re-INVITE is told as it is, and the conversation goes on being recorded', async () => {
  await using site = await selectingSite();
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(bridgedMs)
      .refused({ direction: 'sendonly' }, 488)
      .pause(300)
      .reinvite({ direction: 'sendrecv' })
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .expect('INVITE')
      .reply('488 Not Acceptable Here')
      .expect('ACK')
      .reinvited(talk)
      .hungUp(),
  });
  expect(events.at(-1)).toMatchObject({ outcome: 'recorded' });
  const [recording] = await site.recordings();
  expect(recording!.details!.gaps.filter(({ kind }) => kind === 'hold')).toEqual([]);
});

test('a 183 to a re-INVITE does not cost its 200', async () => {
  await using site = await selectingSite();
  await playCall(site, {
    caller: Scenario.caller().answered().pause(bridgedMs).reinvite(talk).hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .expect('INVITE')
      .reply('183 Session Progress')
      .pause(100)
      .reply('200 OK', { body: talk })
      .expect('ACK')
      .hungUp(),
  });
});

test('a fax takes us out: its T.38 crosses untouched, and the recording ends there with the reason', async () => {
  await using site = await selectingSite();
  const image = (port: string) => ({
    type: 'application/sdp',
    text: `v=0\no=- 1 9 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=image ${port} udptl t38\na=T38FaxVersion:0`,
  });
  const { events, pbx, caller } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .expect('INVITE', { has: ['m=image 40002 udptl t38', 'T38FaxVersion'] })
      .reply('200 OK', { body: image('40004') })
      .expect('ACK')
      .pause(200)
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .pause(600)
      .reinvite(image('40002'), { has: ['m=image 40004 udptl t38'] })
      .hungUp(),
  });
  expect(events.find(({ kind }) => kind === 'recording.closed')).toMatchObject({ reason: 'fax' });
  expect(events.at(-1)).toMatchObject({ outcome: 'recorded' });
  expect([pbx.failed, caller.failed]).toEqual([0, 0]);
});

test('INFO, MESSAGE, NOTIFY, OPTIONS reach the other side with headers and body, and its answer comes back', async () => {
  await using site = await selectingSite();
  const text = (what: string) => ({ type: 'text/plain', text: what });
  await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(bridgedMs)
      .request('INFO', { body: text('hello'), headers: ['X-Ticket: 7', 'Info-Package: x'] }, 200, {
        has: ['X-Answer: 8', 'good day'],
      })
      .request('MESSAGE', { body: text('a word') }, 202)
      .request('OPTIONS', {}, 200, { has: ['Accept: application/sdp'] })
      .expect('NOTIFY', { has: ['Event: talk'] })
      .reply('489 Bad Event')
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .expect('INFO', { has: ['X-Ticket: 7', 'Info-Package: x', 'hello'] })
      .reply('200 OK', { body: text('good day'), headers: ['X-Answer: 8'] })
      .expect('MESSAGE', { has: ['a word'] })
      .reply('202 Accepted')
      .expect('OPTIONS')
      .reply('200 OK', { headers: ['Accept: application/sdp'] })
      .request('NOTIFY', { headers: ['Event: talk', 'Subscription-State: active'] }, 489)
      .hungUp(),
  });
});

test.each([0, 1])(
  'a method that nobody here knows is for the other side to answer (rate %i)',
  async (rate) => {
    await using site = await selectingSite({ campaign: { rate } });
    await playCall(site, {
      caller: Scenario.caller()
        .answered()
        .pause(rate * bridgedMs + 300)
        .request('FROB', { headers: ['X-Ticket: 7'] }, 202, { has: ['X-Answer: 8'] })
        .request('FROB', {}, 501)
        .hangsUp(),
      pbx: Scenario.pbx()
        .answers()
        .expect('FROB', { has: ['X-Ticket: 7'] })
        .reply('202 Accepted', { headers: ['X-Answer: 8'] })
        .expect('FROB')
        .reply('501 Not Implemented')
        .hungUp(),
    });
  },
);

test('a refusal key by INFO is a refusal; the same key by RTP beside it is no second one', async () => {
  await using site = await selectingSite();
  const key = { type: 'application/dtmf-relay', text: 'Signal=2\nDuration=160' };
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(bridgedMs + 400)
      .request('INFO', { body: key })
      .pause(300)
      .hangsUp(),
    pbx: Scenario.pbx()
      .answers()
      .expect('INFO', { has: ['Signal=2'] })
      .reply()
      .hungUp(),
    press: { caller: [{ digit: '2', atMs: bridgedMs + 420 }] },
  });
  expect(kindsOf(events).filter((kind) => kind === 'call.refused')).toHaveLength(1);
  expect(events.at(-1)).toMatchObject({ outcome: 'refused' });
  expect(await site.recordings()).toEqual([]);
});
