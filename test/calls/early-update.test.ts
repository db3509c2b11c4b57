import { expect, test } from 'vitest';
import { Scenario } from '../peers/scenario.ts';
import { kindsOf, playCall, promptMs, selectingSite } from './selecting-site.ts';

const talk = { direction: 'sendrecv' } as const;
const hushed = { direction: 'sendonly' } as const;
const recorded = ['call.decided', 'call.told', 'recording.allowed', 'recording.closed', 'call.ended'];
const reliable = ['Supported: 100rel', 'Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE'];

/** A caller who has an answer in a reliable 183. */
const early = (): Scenario =>
  Scenario.caller({ body: talk, headers: reliable })
    .reliably('183', { has: ['m=audio', 'Require: 100rel', 'Allow: .*UPDATE'] })
    .pracks();

/** A PBX that gave one. */
const answeredEarly = (): Scenario =>
  Scenario.pbx()
    .responds('183 Session Progress', { body: talk, headers: ['Require: 100rel', 'RSeq: 1'] })
    .expect('PRACK', { has: ['RAck: 1 '] })
    .reply();

test('while media flows directly an offer by UPDATE before the answer reaches the PBX, and its answer the caller', async () => {
  await using site = await selectingSite({ campaign: { rate: 0 } });
  await playCall(site, {
    caller: early()
      .request('UPDATE', { body: hushed, headers: ['X-Ticket: 7'] }, 200, {
        has: ['a=recvonly', 'X-Answer: 8'],
      })
      .takes200()
      .pause(200)
      .hangsUp(),
    pbx: answeredEarly()
      .expect('UPDATE', { has: ['a=sendonly', 'X-Ticket: 7'] })
      .reply('200 OK', { body: { direction: 'recvonly' }, headers: ['X-Answer: 8'] })
      .pause(100)
      .responds('200 OK')
      .expect('ACK')
      .hungUp(),
  });
});

test('an offer in a PRACK is answered in its 200 by the PBX, to which it is one by UPDATE', async () => {
  await using site = await selectingSite({ campaign: { rate: 0 } });
  await playCall(site, {
    caller: Scenario.caller({ body: talk, headers: reliable })
      .reliably('183', { has: ['m=audio'] })
      .pracks({ body: hushed }, { has: ['a=recvonly'] })
      .takes200()
      .pause(200)
      .hangsUp(),
    pbx: answeredEarly()
      .expect('UPDATE', { has: ['a=sendonly'] })
      .reply('200 OK', { body: { direction: 'recvonly' } })
      .pause(100)
      .responds('200 OK')
      .expect('ACK')
      .hungUp(),
  });
});

test('while media flows directly an offer by UPDATE of a PBX that has not answered reaches the caller', async () => {
  await using site = await selectingSite({ campaign: { rate: 0 } });
  await playCall(site, {
    caller: early()
      .expect('UPDATE', { has: ['a=sendonly', 'P-Asserted-Identity: <sip:207@pbx>'] })
      .reply('200 OK', { body: { direction: 'recvonly' } })
      .takes200()
      .pause(200)
      .hangsUp(),
    pbx: answeredEarly()
      .request('UPDATE', { body: hushed, headers: ['P-Asserted-Identity: <sip:207@pbx>'] }, 200, {
        has: ['a=recvonly'],
      })
      .pause(100)
      .responds('200 OK')
      .expect('ACK')
      .hungUp(),
  });
});

test('a caller whose answer was not reliable is offered nothing new: the PBX tries again; who rings now is told', async () => {
  await using site = await selectingSite({ campaign: { rate: 0 } });
  await playCall(site, {
    caller: Scenario.caller()
      .progressed('183', { has: ['m=audio'] })
      .expect('UPDATE', { has: ['P-Asserted-Identity: <sip:207@pbx>'] })
      .reply()
      .takes200()
      .pause(200)
      .hangsUp(),
    pbx: answeredEarly()
      .request('UPDATE', { body: hushed }, 491)
      .request('UPDATE', { headers: ['P-Asserted-Identity: <sip:207@pbx>'] })
      .pause(100)
      .responds('200 OK')
      .expect('ACK')
      .hungUp(),
  });
});

test('before anybody has answered reliably an UPDATE with an offer is asked to come again', async () => {
  await using site = await selectingSite({ campaign: { rate: 0 } });
  await playCall(site, {
    caller: Scenario.caller({ body: talk, headers: reliable })
      .progressed('183', { has: ['m=audio'] })
      .request('UPDATE', { body: hushed }, 500, { has: ['Retry-After: '] })
      .takes200()
      .pause(200)
      .hangsUp(),
    pbx: Scenario.pbx()
      .responds('183 Session Progress', { body: talk })
      .pause(600)
      .responds('200 OK', { body: talk })
      .expect('ACK')
      .hungUp(),
  });
});

test('while media is anchored an offer by UPDATE of a PBX that has not answered is agreed with us', async () => {
  await using site = await selectingSite();
  const { events, caller } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(promptMs + 1_500)
      .hangsUp(),
    pbx: answeredEarly()
      .request('UPDATE', { body: talk }, 200, { has: ['o=tacet', 'm=audio'] })
      .pause(100)
      .responds('200 OK')
      .expect('ACK')
      .play()
      .hungUp(),
  });
  expect(kindsOf(events)).toEqual(recorded);
  expect(caller.messages.some(({ startLine }) => startLine.startsWith('UPDATE'))).toBe(false);
});

test('while media is anchored offers by PRACK and UPDATE of a caller who is told in early media are agreed with us', async () => {
  await using site = await selectingSite({ campaign: { announcement: { placement: 'early-media' } } });
  const { events, pbx } = await playCall(site, {
    caller: Scenario.caller({ body: talk, headers: ['Require: 100rel', ...reliable] })
      .reliably('183', { has: ['o=tacet'] })
      .pracks({ body: talk }, { has: ['o=tacet', 'm=audio'] })
      .play()
      .request('UPDATE', { body: talk }, 200, { has: ['o=tacet', 'm=audio'] })
      .takes200()
      .pause(600)
      .hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
  });
  expect(kindsOf(events)).toEqual(recorded);
  expect(pbx.messages.some(({ startLine }) => startLine.startsWith('UPDATE'))).toBe(false);
});
