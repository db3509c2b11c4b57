/** Parties that come into calls of ours: attended transfers by a real telephone, Replaces and direct media by SIPp, the newcomer's law. */
import { expect, test } from 'vitest';
import type { Tacet } from '../../agent/main.ts';
import { freePort } from '../peers/free-port.ts';
import { Linphone } from '../peers/linphone.ts';
import { callAudio, type KeyPress } from '../peers/pcap.ts';
import { Scenario } from '../peers/scenario.ts';
import { Sipp, type SipMessage, type SippOptions } from '../peers/sipp.ts';
import { expectNothingLeft, kindsOf, selectingSite, soundness } from './selecting-site.ts';
import type { Site } from './tacet-under-test.ts';

const talk = { direction: 'sendrecv' } as const;
const speech = new URL('../../config/prompts/demo/agent-fr.wav', import.meta.url).pathname;
const audio = callAudio({ durationMs: 8_000 });

async function played(...sides: Sipp[]): Promise<void> {
  for (const each of sides) {
    const result = await each.finished();
    expect(result.exitCode, result.errors + result.output.slice(-1_000)).toBe(0);
  }
}

test.each([
  ['the call of its caller', 'transfer 1 --to-call 2', true],
  ['the consultation', 'transfer 2 --to-call 1', false],
])(
  'a real telephone presses codes, holds, and transfers in %s: one recording, all told, all in one entry',
  async (_, transfer, pauses) => {
    await using phone = await Linphone.start({ user: '207', speech });
    await using site = await selectingSite({
      sip: { transfers: 'handle' },
      pbx: () => ({ ports: [phone.port], uri: phone.uri }),
      campaign: { agentCodes: { pause: '*7', resume: '*8' } },
    });
    await using tacet = await site.start();
    await using consulted = await carrierAnswers(site, (target) => target.reinvited(talk).hungUp());
    await using caller = await carrierCalls(site, (calling) =>
      calling
        .answered()
        .reinvited({ direction: 'recvonly' }, { has: ['a=sendonly'] })
        .reinvited(talk, { has: ['a=sendrecv'] })
        .hungUp(),
    );
    await becomes(tacet, 'recording');
    await phone.printed(/Media streams established .* call 1/u);
    if (pauses) {
      phone.press('*7');
      await becomes(tacet, 'paused');
      phone.press('*8');
      await becomes(tacet, 'recording');
    }
    await phone.command('pause', /Call 1 .*paused/u);
    await phone.command(
      `call sip:+33700000007@127.0.0.1:${site.sipPort}`,
      /Media streams established .* call 2/u,
    );
    await phone.command(transfer, /Call [12] .*ended[^]*Call [12] .*ended/u);
    const told = async (): Promise<number> =>
      (await site.events()).filter(({ kind }) => kind === 'call.told').length;
    await expect.poll(told, { timeout: 15_000 }).toBe(2);
    await endNow(tacet);
    await played(caller, consulted);
    expectNothingLeft(tacet);
    const events = await site.events();
    const { call } = events.find((event) => event.kind === 'call.decided')!;
    const story = events.filter((event) => 'call' in event && event.call === call);
    expect(kindsOf(story).filter((kind) => kind !== 'call.ordered')).toEqual([
      'call.decided',
      'call.told',
      'recording.allowed',
      'call.party',
      'call.told',
      'recording.closed',
      'call.ended',
    ]);
    expect(events.find((event) => event.kind === 'call.linked')).toMatchObject({ of: call });
    const ended = story.at(-1) as {
      outcome: string;
      parties: { side: string; party: string; from: number; to?: number }[];
    };
    expect(ended.outcome).toBe('recorded');
    expect(ended.parties.map(({ side }) => side)).toEqual(['caller', 'agent', 'agent']);
    expect(ended.parties[2]!.from).toBe(ended.parties[1]!.to);
  },
);

/** The carrier's telephone that is called, at the port where it takes calls. */
function carrierAnswers(
  site: Site,
  then: (target: Scenario) => Scenario,
  options: Partial<SippOptions> = {},
): Promise<Sipp> {
  const { xml } = then(Scenario.pbx({ has: ['INVITE sip:[^@]*@'] }).answers());
  return Sipp.start({ scenario: { xml }, port: site.carrierPort, calls: 1, audio, ...options });
}

function carrierCalls(
  site: Site,
  then: (caller: Scenario) => Scenario,
  options: Partial<SippOptions> = {},
): Promise<Sipp> {
  return Sipp.start({
    scenario: { xml: then(Scenario.caller()).xml },
    target: { port: site.sipPort },
    port: site.otherCarrierPort,
    service: '+33800000001',
    audio,
    ...options,
  });
}

function pbxAnswers(site: Site, then: (pbx: Scenario) => Scenario): Promise<Sipp> {
  return Sipp.start({
    scenario: { xml: then(Scenario.pbx().answers()).xml },
    port: site.pbxPorts[0]!,
    calls: 1,
    audio,
  });
}

/** Of a PBX: has us call somebody in its place, and is hung up when they are there. */
function refers(agent: Scenario, to: string): Scenario {
  return agent
    .request('REFER', { headers: [`Refer-To: <${to}>`] }, 202)
    .expect('NOTIFY', { has: ['100 Trying'] })
    .reply()
    .expect('NOTIFY', { has: ['200 OK'] })
    .reply()
    .hungUp();
}

/** Ends the calls that are on. */
async function endNow(tacet: Tacet): Promise<void> {
  const enough = new AbortController();
  const drained = tacet.drain(enough.signal);
  enough.abort();
  await drained;
}

async function becomes(tacet: Tacet, state: string): Promise<void> {
  await expect.poll(() => tacet.calls.list().map((call) => call.state), { timeout: 15_000 }).toContain(state);
}

/** A number that no campaign claims: its calls pass, media direct. */
const unclaimed = '+33900000001';

/** How the PBX that answered knows its dialog, as another telephone of the PBX names it to us. */
async function replacing(pbx: Sipp): Promise<string> {
  await pbx.saw(/^ACK /u);
  const ok = (await pbx.messages()).find(
    ({ direction, startLine }) => direction === 'sent' && startLine.includes('200'),
  )!;
  return `Replaces: ${header(ok, 'Call-ID')};to-tag=${tagOf(ok, 'From')};from-tag=${tagOf(ok, 'To')}`;
}

function header({ text }: SipMessage, name: string): string {
  return new RegExp(`^${name}: *(.*?)\\r?$`, 'mu').exec(text)![1]!;
}

function tagOf(message: SipMessage, name: string): string {
  return /;tag=([^;\s]+)/u.exec(header(message, name))![1]!;
}

/** Another telephone of the PBX, at its second port, that wants the place of one that answered. */
async function picksUp(site: Site, headers: string, then: (colleague: Scenario) => Scenario): Promise<Sipp> {
  return Sipp.start({
    scenario: { xml: then(Scenario.caller({ body: talk, headers: [headers] })).xml },
    target: { port: site.sipPort },
    port: site.pbxPorts[1]!,
    service: '+33199000001',
    keys: { caller: '208' },
    audio,
  });
}

test('a call is picked up by Replaces: recorded on where it was recorded, put through where it passed', async () => {
  await using site = await selectingSite({ pbxs: 2 });
  await using tacet = await site.start();
  for (const service of ['+33800000001', unclaimed]) {
    await using pbx = await pbxAnswers(site, (agent) => agent.hungUp());
    await using caller = await carrierCalls(site, (calling) => calling.answered().reinvited(talk).hungUp(), {
      service,
    });
    const named = await replacing(pbx);
    await becomes(tacet, service === unclaimed ? 'passing' : 'recording');
    await using early = await picksUp(site, `${named};early-only`, (colleague) => colleague.rejected(486));
    await played(early);
    await using colleague = await picksUp(site, named, (there) => there.answered().pause(800).hangsUp());
    await played(colleague, caller, pbx);
    const offered = (await caller.messages())
      .filter(({ startLine }) => startLine.startsWith('INVITE'))
      .at(-1)!;
    const direct = offered.text.includes(`m=audio ${colleague.mediaPort} `);
    expect(direct).toBe(service === unclaimed);
  }
  await tacet.drain();
  expectNothingLeft(tacet);
  const events = await site.events();
  expect(events.filter((event) => event.kind === 'call.party')).toMatchObject([
    { side: 'agent', by: 'pickup' },
    { side: 'agent', by: 'pickup' },
  ]);
  expect(events.filter((event) => event.kind === 'call.linked')).toHaveLength(2);
  expect(events.filter((event) => event.kind === 'call.decided')).toHaveLength(1);
  expect(events.filter((event) => event.kind === 'call.told')).toHaveLength(1);
  const outcomes = events.flatMap((event) => (event.kind === 'call.ended' ? [event.outcome] : []));
  expect(outcomes.toSorted()).toEqual(['inner', 'inner', 'recorded', 'rejected', 'rejected', 'unmatched']);
  expect(await site.recordings()).toHaveLength(1);
});

test.each([
  [
    'hears of its success',
    (agent: Scenario) =>
      agent
        .expect('NOTIFY', { has: ['100 Trying'] })
        .reply()
        .expect('NOTIFY', { has: ['200 OK'] })
        .reply()
        .hungUp(),
  ],
  [
    'hangs up at once',
    (agent: Scenario) =>
      agent
        .expect('NOTIFY', { has: ['100 Trying'] })
        .reply()
        .hangsUp(),
  ],
])(
  'a call whose media is direct is transferred by Tacet: the target makes the offer; who asked %s',
  async (_, then) => {
    await using site = await selectingSite({ sip: { transfers: 'handle' } });
    await using tacet = await site.start();
    await using target = await Sipp.start({
      scenario: {
        xml: Scenario.pbx({ has: ['INVITE sip:.33700000007@'] })
          .responds('180 Ringing')
          .pause(500)
          .responds('200 OK', { body: talk })
          .expect('ACK', { has: ['m=audio'] })
          .play()
          .pause(500)
          .hangsUp().xml,
      },
      port: site.carrierPort,
      calls: 1,
      audio,
    });
    await using pbx = await pbxAnswers(site, (agent) =>
      then(agent.request('REFER', { headers: ['Refer-To: <sip:+33700000007@192.0.2.7>'] }, 202)),
    );
    await using caller = await carrierCalls(site, (calling) => calling.answered().reinvited(talk).hungUp(), {
      service: unclaimed,
    });
    await played(caller, target, pbx);
    const offered = (await caller.messages())
      .filter(({ startLine }) => startLine.startsWith('INVITE'))
      .at(-1)!;
    expect(offered.text).toContain(`m=audio ${target.mediaPort} `);
    await tacet.drain();
    expectNothingLeft(tacet);
    expect((await site.events()).at(-1)).toMatchObject({
      kind: 'call.ended',
      outcome: 'unmatched',
      answered: true,
    });
  },
);

test('a target that refuses leaves a call with direct media as it was; one in the PBX is asked to replace its own dialog', async () => {
  await using site = await selectingSite({ sip: { transfers: 'handle' }, pbxs: 2 });
  await using tacet = await site.start();
  await using target = await Sipp.start({
    scenario: {
      xml: Scenario.pbx({ has: ['Replaces: consult@pbx;to-tag=1;from-tag=2'] })
        .responds('480 Not here')
        .expect('ACK').xml,
    },
    port: site.pbxPorts[1]!,
    calls: 1,
  });
  const to = `<sip:208@127.0.0.1:${site.pbxPorts[1]}?Replaces=consult%40pbx%3Bto-tag%3D1%3Bfrom-tag%3D2>`;
  await using pbx = await pbxAnswers(site, (agent) =>
    agent
      .request('REFER', { headers: [`Refer-To: ${to}`] }, 202)
      .expect('NOTIFY', { has: ['100 Trying'] })
      .reply()
      .expect('NOTIFY', { has: ['480 Not here', 'terminated'] })
      .reply()
      .hangsUp(),
  );
  await using caller = await carrierCalls(site, (calling) => calling.answered().hungUp(), {
    service: unclaimed,
  });
  await played(caller, target, pbx);
  await tacet.drain();
  expectNothingLeft(tacet);
});

test('a call that passed and was transferred outside is recorded by order: both outside parties are told first', async () => {
  await using site = await selectingSite({
    sip: { transfers: 'handle' },
    campaign: { rate: 0, onDemand: true },
  });
  await using tacet = await site.start();
  await using target = await carrierAnswers(site, (there) => there.reinvited(talk).hungUp());
  await using pbx = await pbxAnswers(site, (agent) => refers(agent, 'sip:+33700000007@192.0.2.7'));
  await using caller = await carrierCalls(site, (calling) =>
    calling.answered().reinvited(talk).reinvited(talk).hungUp(),
  );
  await played(pbx);
  const { call } = tacet.calls.list()[0]!;
  expect(await tacet.calls.record(call, { by: 'lea', reason: 'complaint' })).toEqual({ done: true });
  await endNow(tacet);
  await played(caller, target);
  expectNothingLeft(tacet);
  const events = await site.events();
  const told = events.flatMap((event) => (event.kind === 'call.told' ? [event.side ?? 'caller'] : []));
  expect(told).toEqual(['caller', 'agent']);
  expect(await site.recordings()).toHaveLength(1);
  expect(await soundness(site)).toMatch(/^sound/u);
});

/** A yes, said over and over: whenever it is asked for, it comes. */
const yes: KeyPress[] = Array.from({ length: 18 }, (_, index) => ({ digit: '1', atMs: 1_500 + 500 * index }));

test.each([
  ['Switzerland: everybody is asked, and another recording begins under its law', '+41440000007', 'asked'],
  ['a country whose law is not known: the recording ends', '+77271234567', 'blocked'],
] as const)('a transfer to %s', async (_, number, law) => {
  await using site = await selectingSite({
    sip: { transfers: 'handle' },
    campaign: { announcement: { consentPrompt: './prompt.wav', consentGraceMs: 5_000 } },
  });
  await using tacet = await site.start();
  const consenting = callAudio({ durationMs: 12_000, keys: yes });
  await using target = await carrierAnswers(site, (there) => there.hungUp(), { audio: consenting });
  await using pbx = await pbxAnswers(site, (agent) => refers(agent, `sip:${number}@192.0.2.7`));
  await using caller = await carrierCalls(site, (calling) => calling.answered().reinvited(talk).hungUp(), {
    audio: consenting,
  });
  await played(pbx);
  const settled =
    law === 'asked'
      ? 'recording.allowed,recording.closed,recording.allowed'
      : 'recording.allowed,recording.closed';
  const recordings = async (): Promise<string> =>
    kindsOf(await site.events())
      .filter((kind) => kind.startsWith('recording'))
      .join();
  await expect.poll(recordings, { timeout: 15_000 }).toBe(settled);
  await endNow(tacet);
  await played(caller, target, pbx);
  expectNothingLeft(tacet);
  const events = await site.events();
  const closed = events.flatMap((event) => (event.kind === 'recording.closed' ? [event.reason] : []));
  const allowed = events.flatMap((event) => (event.kind === 'recording.allowed' ? [event.law] : []));
  const told = events.filter((event) => event.kind === 'call.told').length;
  if (law === 'asked') {
    expect(closed).toEqual(['transfer', 'hangup']);
    expect(allowed.map((packs) => packs.some((pack) => pack.startsWith('CH-')))).toEqual([false, true]);
    expect(told).toBe(3);
    expect(events.filter((event) => event.kind === 'call.consented')).toHaveLength(2);
  } else {
    expect(closed).toEqual(['law']);
    expect(told).toBe(1);
  }
  expect(await site.recordings()).toHaveLength(closed.length);
  expect(await soundness(site)).toMatch(/^sound/u);
});

test('two calls that are both recorded are joined: the newcomer is told, one recording goes on, the other ends', async () => {
  const [first, second] = [await freePort(), await freePort()];
  const trunk = (name: string, port: number, pbx: string) => ({
    name,
    sources: ['127.0.0.1'],
    ports: [port],
    uri: `sip:127.0.0.1:${port}`,
    routes: [pbx],
    health: { intervalSeconds: 0 },
  });
  await using site = await selectingSite({
    pbxs: 2,
    sip: { transfers: 'handle' },
    config: { trunks: [trunk('carrier', first, 'pbx-0'), trunk('other', second, 'pbx-1')] },
  });
  await using tacet = await site.start();
  await using consulted = await Sipp.start({
    scenario: { xml: Scenario.pbx().answers().hungUp().xml },
    port: site.pbxPorts[1]!,
    calls: 1,
    audio,
  });
  await using other = await carrierCalls(site, (calling) => calling.answered().reinvited(talk).hungUp(), {
    port: second,
  });
  const replaces = encodeURIComponent((await replacing(consulted)).slice('Replaces: '.length));
  await becomes(tacet, 'recording');
  await using pbx = await pbxAnswers(site, (agent) =>
    refers(agent.pause(500), `sip:+33199000001@192.0.2.7?Replaces=${replaces}`),
  );
  await using caller = await carrierCalls(site, (calling) => calling.answered().reinvited(talk).hungUp(), {
    port: first,
  });
  await played(pbx, consulted);
  await expect
    .poll(async () => (await site.events()).filter(({ kind }) => kind === 'call.told').length, {
      timeout: 15_000,
    })
    .toBe(3);
  await endNow(tacet);
  await played(caller, other);
  expectNothingLeft(tacet);
  const events = await site.events();
  const [left, joined] = events.flatMap((event) => (event.kind === 'call.decided' ? [event.call] : []));
  const storyOf = (call: string | undefined): string[] =>
    kindsOf(events.filter((event) => 'call' in event && event.call === call));
  const begun = ['call.decided', 'call.told', 'recording.allowed'];
  expect(storyOf(left)).toEqual([...begun, 'call.linked', 'recording.closed', 'call.ended']);
  expect(storyOf(joined)).toEqual([...begun, 'call.party', 'call.told', 'recording.closed', 'call.ended']);
  expect(events.find((event) => event.kind === 'call.linked')).toMatchObject({ of: joined });
  expect(events.findLast((event) => event.kind === 'call.ended')).toMatchObject({
    call: joined,
    parties: [{ side: 'caller' }, { side: 'agent' }, { side: 'agent' }],
  });
  expect(await site.recordings()).toHaveLength(2);
  expect(await soundness(site)).toMatch(/^sound/u);
});
