import { expect, test } from 'vitest';
import { Scenario } from '../peers/scenario.ts';
import { pcma, pcmu, telephoneEvent, type SippResult } from '../peers/sipp.ts';
import { kindsOf, playCall, promptMs, selectingSite } from './selecting-site.ts';

const talk = { direction: 'sendrecv' } as const;
const branches = ['x', 'y', 'z'] as const;
const recorded = ['call.decided', 'call.told', 'recording.allowed', 'recording.closed', 'call.ended'];

/** A PBX that forks to three telephones, each with early media of its own; the one named answers and is hung up. */
function forking(winner: string): Scenario {
  const pbx = Scenario.pbx();
  for (const branch of branches) {
    pbx
      .branch(branch)
      .responds('180 Ringing')
      .responds('183 Session Progress', { body: { ...talk, formats: [branch === 'y' ? pcmu : pcma] } })
      .pause(60);
  }
  return pbx
    .branch(winner)
    .responds('200 OK', { body: talk })
    .expect('ACK', { has: [`To: .*tag=[0-9]+p[0-9]+${winner}`] })
    .play()
    .hungUp({ has: [`To: .*tag=[0-9]+p[0-9]+${winner}`] });
}

test.each(branches)(
  'three telephones ring with early media, %s answers: the call is with that one',
  async (winner) => {
    await using site = await selectingSite({ campaign: { rate: 0 } });
    const { caller } = await playCall(site, {
      caller: Scenario.caller()
        .answered({}, { has: ['m=audio'] })
        .pause(200)
        .hangsUp(),
      pbx: forking(winner),
    });
    const early = tagsOf(caller, 'SIP/2.0 183');
    expect(new Set(early).size).toBe(3);
    expect(tagsOf(caller, 'SIP/2.0 200')[0]).toBe(early[branches.indexOf(winner)]);
  },
);

test('telephones that ring reliably are acknowledged by the caller in a dialog each', async () => {
  await using site = await selectingSite({ campaign: { rate: 0 } });
  const pbx = Scenario.pbx();
  const calling = Scenario.caller({ body: talk, headers: ['Supported: 100rel'] });
  for (const branch of branches) {
    pbx
      .branch(branch)
      // The caller's own PRACK has its 200 before it hears of the next telephone.
      .pause(200)
      .responds('183 Session Progress', { body: talk, headers: ['Require: 100rel', 'RSeq: 7'] })
      .expect('PRACK', { has: ['RAck: 7 ', `To: .*tag=[0-9]+p[0-9]+${branch}`] })
      .reply();
    calling.reliably('183', { has: ['RSeq: 1'] }).pracks();
  }
  const { caller } = await playCall(site, {
    caller: calling.takes200().pause(200).hangsUp(),
    pbx: pbx.branch('y').responds('200 OK').expect('ACK').hungUp(),
  });
  const early = tagsOf(caller, 'SIP/2.0 183');
  expect(new Set(early).size).toBe(3);
  expect(tagsOf(caller, 'PRACK')).toEqual(early);
});

/** To tags of the messages that begin so, in order. */
function tagsOf({ messages }: SippResult, startLine: string, header = 'To'): string[] {
  const found = messages.filter((message) => message.startLine.startsWith(startLine));
  return found.map(({ text }) => new RegExp(`^${header}:.*;tag=([^;\\s]+)`, 'mu').exec(text)![1]!);
}

const hushed = { direction: 'sendonly' } as const;
const reliable = ['Supported: 100rel', 'Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE'];
const early = ['x', 'y'] as const;

/** A PBX whose two telephones both answered in a reliable 183, and a caller who acknowledged both. */
function bothEarly(): { pbx: Scenario; caller: Scenario } {
  const pbx = Scenario.pbx();
  const caller = Scenario.caller({ body: talk, headers: reliable });
  for (const branch of early) {
    pbx
      .branch(branch)
      // The caller's own PRACK has its 200 before it hears of the next telephone.
      .pause(200)
      .responds('183 Session Progress', {
        body: { ...talk, formats: [branch === 'y' ? pcmu : pcma] },
        headers: ['Require: 100rel', 'RSeq: 7', 'Allow: INVITE, ACK, BYE, UPDATE'],
      })
      .expect('PRACK', { has: ['RAck: 7 ', `To: .*tag=[0-9]+p[0-9]+${branch}`] })
      .reply();
    caller.reliablyFrom(branch, '183').pracks();
  }
  return { pbx, caller };
}

test.each(early.flatMap((asked) => early.map((winner) => [asked, winner] as const)))(
  'the caller offers anew to telephone %s, which agrees, and %s answers: each has its own dialog',
  async (asked, winner) => {
    await using site = await selectingSite({ campaign: { rate: 0 } });
    const { pbx, caller } = bothEarly();
    const seen = await playCall(site, {
      caller: caller
        .within(asked)
        .request('UPDATE', { body: hushed }, 200, { has: ['a=recvonly'] })
        .within()
        .takes200()
        .pause(200)
        .hangsUp(),
      pbx: pbx
        .expect('UPDATE', { has: ['a=sendonly', `To: .*tag=[0-9]+p[0-9]+${asked}`] })
        .reply('200 OK', { body: { direction: 'recvonly' } })
        .pause(100)
        .branch(winner)
        .responds('200 OK')
        .expect('ACK', { has: [`To: .*tag=[0-9]+p[0-9]+${winner}`] })
        .hungUp({ has: [`To: .*tag=[0-9]+p[0-9]+${winner}`] }),
    });
    const tags = tagsOf(seen.caller, 'SIP/2.0 183');
    expect(tagsOf(seen.caller, 'UPDATE')).toEqual([tags[early.indexOf(asked)]]);
    const answers = seen.caller.messages.filter(
      ({ startLine, text }) => startLine.startsWith('SIP/2.0 200') && text.includes('INVITE'),
    );
    // Its own description, not that of whoever spoke last.
    expect(answers[0]!.text).toContain(winner === 'y' ? 'RTP/AVP 0' : 'RTP/AVP 8');
  },
);

test.each(early)(
  'telephone %s offers anew before it answers: the caller hears it in its dialog',
  async (asking) => {
    await using site = await selectingSite({ campaign: { rate: 0 } });
    const { pbx, caller } = bothEarly();
    const seen = await playCall(site, {
      caller: caller
        .expect('UPDATE', { has: ['a=sendonly'] })
        .reply('200 OK', { body: { direction: 'recvonly' } })
        .takes200()
        .pause(200)
        .hangsUp(),
      pbx: pbx
        .branch(asking)
        .pause(200)
        .request('UPDATE', { body: hushed }, 200, { has: ['a=recvonly'] })
        .pause(100)
        .responds('200 OK')
        .expect('ACK')
        .hungUp(),
    });
    const tags = tagsOf(seen.caller, 'SIP/2.0 183');
    expect(tagsOf(seen.caller, 'UPDATE', 'From')).toEqual([tags[early.indexOf(asking)]]);
  },
);

test.each(branches)(
  'three telephones ring with early media before a caller who was told, %s answers: that one is recorded',
  async (winner) => {
    await using site = await selectingSite();
    const formats = [pcma, pcmu, telephoneEvent()];
    const { events } = await playCall(site, {
      caller: Scenario.caller()
        .answered()
        .pause(promptMs + 1_500)
        .hangsUp(),
      pbx: forking(winner),
      options: { caller: { formats }, pbx: { formats: [pcma, telephoneEvent()] } },
    });
    expect(kindsOf(events)).toEqual(recorded);
    expect(await site.recordings()).toMatchObject([{ state: 'complete' }]);
  },
);

test.each([0, 1])('the codec of the 200 is another than that of the 183 (rate %i)', async (rate) => {
  await using site = await selectingSite({ campaign: { rate } });
  const formats = [pcma, pcmu, telephoneEvent()];
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(rate * promptMs + 1_500)
      .hangsUp(),
    pbx: Scenario.pbx()
      .responds('183 Session Progress', { body: { ...talk, formats: [pcmu, telephoneEvent()] } })
      .pause(200)
      .responds('200 OK', { body: { ...talk, formats: [pcma, telephoneEvent()] } })
      .expect('ACK')
      .play()
      .hungUp(),
    options: { caller: { formats } },
  });
  expect(events.at(-1)).toMatchObject({ outcome: rate === 0 ? 'unselected' : 'recorded' });
});
