import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { Tacet } from '../../agent/main.ts';
import { freePort } from '../peers/free-port.ts';
import { startKamailio } from '../peers/kamailio.ts';
import { callAudio } from '../peers/pcap.ts';
import { RedisServer } from '../peers/redis.ts';
import { Scenario } from '../peers/scenario.ts';
import { Sipp, runSipp, type CallerScenario, type SippKeys, type SippResult } from '../peers/sipp.ts';
import { prepareSite, type Site } from './tacet-under-test.ts';
import { textOf } from './text-of.ts';

const unselected = { campaign: { rate: 0 } };
const times: SippKeys = { talk_ms: 150, hold_ms: 150, ring_ms: 60 };

function call(
  site: Site,
  scenario: CallerScenario = 'caller-call',
  keys: SippKeys = {},
): Promise<SippResult> {
  return runSipp({
    scenario,
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    keys: { ...times, ...keys },
  });
}

function answering(site: Site, index: number, calls = 1): Promise<Sipp> {
  return Sipp.start({ scenario: 'pbx-answers', port: site.pbxPorts[index]!, calls, keys: times });
}

async function metric(tacet: Tacet, line: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${tacet.http.port}/metrics`)).text();
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length));
}

/** A PBX whose machine runs and whose program hangs: what comes is taken and never answered. */
async function hungPbx(port: number): Promise<AsyncDisposable> {
  const socket = createSocket('udp4');
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  return { [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())) };
}

/** The PBXs as one group, each of a lower priority than the one before. */
const farm = (pbxs: number) => ({
  pbxs,
  trunk: { routes: ['farm'] },
  config: {
    groups: [
      {
        name: 'farm',
        members: Array.from({ length: pbxs }, (_, index) => ({ peer: `pbx-${index}`, priority: index })),
      },
    ],
    routing: { firstResponseMs: 300 },
  },
});

test('of a group with a hung, a failing and a healthy PBX the healthy one gets the call, and who failed is known', async () => {
  await using site = await prepareSite({
    ...unselected,
    ...farm(3),
    pbx: () => ({ health: { intervalSeconds: 0, failures: 1 } }),
  });
  await using tacet = await site.start();
  await using _hung = await hungPbx(site.pbxPorts[0]!);
  await using failing = await Sipp.start({
    scenario: 'pbx-rejects',
    port: site.pbxPorts[1]!,
    calls: 2,
    keys: { ...times, status: '503 Service Unavailable' },
  });
  await using healthy = await answering(site, 2, 2);
  expect((await call(site)).exitCode).toBe(0);
  expect(await metric(tacet, 'tacet_peer_up{peer="pbx-0"}')).toBe(0);
  expect(await metric(tacet, 'tacet_peer_up{peer="pbx-1"}')).toBe(1);
  expect((await call(site)).exitCode).toBe(0);
  expect((await healthy.finished()).successful).toBe(2);
  expect((await failing.finished()).successful).toBe(2);
  const attempts = (index: number, result: string) =>
    metric(tacet, `tacet_peer_attempts_total{peer="pbx-${index}",result="${result}"}`);
  expect(await attempts(0, 'no-response')).toBe(1);
  expect(await attempts(1, 'failed')).toBe(2);
  expect(await attempts(2, 'answered')).toBe(2);
});

test('the last PBX is given all the time that SIP has, even when it hangs for longer than the others may', async () => {
  await using site = await prepareSite({ ...unselected, ...farm(2) });
  await using tacet = await site.start();
  await using _first = await hungPbx(site.pbxPorts[0]!);
  await using last = await answering(site, 1);
  last.freeze();
  const calling = call(site);
  const passedOver = 'tacet_peer_attempts_total{peer="pbx-0",result="no-response"}';
  await expect.poll(() => metric(tacet, passedOver), { timeout: 10_000 }).toBe(1);
  // Three times what the first was given: nothing tells that a frozen program is still waited for.
  await new Promise((resolve) => setTimeout(resolve, 900));
  last.thaw();
  expect((await calling).exitCode).toBe(0);
  expect((await last.finished()).exitCode).toBe(0);
});

test('a PBX that leaves OPTIONS unanswered is down, calls stand out, and its first answer brings it back', async () => {
  await using site = await prepareSite({
    ...unselected,
    pbx: () => ({ health: { intervalSeconds: 1, timeoutMs: 200, failures: 2 } }),
  });
  await using tacet = await site.start();
  const up = () => metric(tacet, 'tacet_peer_up{peer="pbx-0"}');
  await expect.poll(up, { timeout: 15_000 }).toBe(0);
  const readiness = () => fetch(`http://127.0.0.1:${tacet.http.port}/readyz`);
  expect(await (await readiness()).text()).toContain('no peer of the routes from carrier is up');
  await using _pbx = await Sipp.start({ scenario: 'pbx-answers-options', port: site.pbxPorts[0]! });
  await expect.poll(up, { timeout: 15_000 }).toBe(1);
  expect((await readiness()).status).toBe(200);
});

test("identity, billing and the site's own headers cross both ways, topology does not, the session is one", async () => {
  await using site = await prepareSite(unselected);
  await using _tacet = await site.start();
  await using pbx = await Sipp.start({
    scenario: 'pbx-identifies',
    port: site.pbxPorts[0]!,
    calls: 1,
    keys: times,
  });
  const caller = await call(site, 'caller-identifies');
  expect(caller.exitCode, caller.errors).toBe(0);
  const called = await pbx.finished();
  const invite = textOf(called, 'received', /^INVITE/u);
  for (const line of [
    /^P-Asserted-Identity: *"Ada" <sip:\+33199000009@carrier\.example>/imu,
    /^Privacy: *id/imu,
    /^Diversion: *<sip:\+33155500000@carrier\.example>;reason=user-busy;counter=1/imu,
    /^History-Info: *<sip:\+33155500000@carrier\.example>;index=1/imu,
    /^User-to-User: *56a390f3d2b7310023a2;encoding=hex/imu,
    /^P-Charging-Vector: *icid-value=1234bc9876e;orig-ioi=home1\.example/imu,
    /^Geolocation: *<cid:target123@carrier\.example>/imu,
    /^Resource-Priority: *ets\.0/imu,
    /^X-Campaign: *support/imu,
    /^Max-Forwards: *9/imu,
    /^From: *<sip:\+33199000001@/imu,
    /^Session-ID: *ab30317f1a784dc48ff824d0d3715d86;remote=0{32}/imu,
    /^X-Tacet-Call: *[0-9a-f-]{36}/imu,
  ]) {
    expect(invite).toMatch(line);
  }
  for (const leak of [/carrier-sbc/iu, /forged/u, new RegExp(`:${site.carrierPort}\\b`, 'u'), /^Route:/imu]) {
    expect(invite.split(/\r?\n\r?\n/u)[0]).not.toMatch(leak);
  }
  const callId = (text: string): string | undefined => /^Call-ID: *(\S+)/imu.exec(text)?.[1];
  const tacetCall = /^X-Tacet-Call: *(\S+)/imu.exec(invite)![1]!;
  for (const start of [/^SIP\/2.0 180/u, /^SIP\/2.0 200/u]) {
    const response = textOf(caller, 'received', start);
    expect(response).toMatch(/^P-Asserted-Identity: *"Desk 7" <sip:207@pbx\.example>/imu);
    expect(response).toMatch(/^X-Queue: *gold/imu);
    expect(response).toMatch(
      /^Session-ID: *47755a9de7794ba387653f2099600ef2;remote=ab30317f1a784dc48ff824d0d3715d86/imu,
    );
    expect(response).toContain(tacetCall);
    expect(response).not.toMatch(/^Server:/imu);
    expect(callId(response)).not.toBe(callId(invite));
  }
  const bye = textOf(called, 'received', /^BYE/u);
  expect(bye).toMatch(
    /^Session-ID: *ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2/imu,
  );
  expect(bye).toContain(tacetCall);
});

test('lists of headers say otherwise, for a site and for a peer', async () => {
  await using site = await prepareSite({
    ...unselected,
    config: { routing: { headers: { pass: ['User-Agent'], drop: ['History-Info'] } } },
    trunk: { headers: { drop: ['X-*', 'Session-ID'] } },
  });
  await using _tacet = await site.start();
  await using pbx = await Sipp.start({
    scenario: 'pbx-identifies',
    port: site.pbxPorts[0]!,
    calls: 1,
    keys: times,
  });
  const caller = await call(site, 'caller-identifies');
  expect(caller.exitCode, caller.errors).toBe(0);
  const invite = textOf(await pbx.finished(), 'received', /^INVITE/u);
  expect(invite).toMatch(/^User-Agent: *carrier-sbc\/7/imu);
  expect(invite).not.toMatch(/^History-Info:/imu);
  expect(invite).toMatch(/^X-Campaign:/imu);
  const answer = textOf(caller, 'received', /^SIP\/2.0 200/u);
  expect(answer).not.toMatch(/^(?:X-|Session-ID)/imu);
  expect(answer).toMatch(/^P-Asserted-Identity:/imu);
});

test('a PBX that asks for credentials gets them, for the INVITE and with its new nonce for the BYE', async () => {
  await using site = await prepareSite({
    ...unselected,
    pbx: () => ({ auth: { username: 'tacet', password: 'a secret' } }),
  });
  await using _tacet = await site.start();
  await using pbx = await Sipp.start({
    scenario: 'pbx-challenges',
    port: site.pbxPorts[0]!,
    calls: 1,
    keys: times,
  });
  const caller = await call(site);
  expect(caller.exitCode, caller.errors).toBe(0);
  const called = await pbx.finished();
  expect(called.exitCode, called.errors).toBe(0);
  expect(called.messages.filter(({ startLine }) => startLine.includes('403'))).toEqual([]);
  const invites = called.messages.filter(({ startLine }) => startLine.startsWith('INVITE'));
  expect(new Set(invites.map(({ text }) => /^Call-ID: *(\S+)/imu.exec(text)?.[1])).size).toBe(1);
});

test('a PBX that asks again for the re-INVITE and the UPDATE of a call gets them, each time for its new nonce', async () => {
  await using site = await prepareSite({
    ...unselected,
    pbx: () => ({ auth: { username: 'tacet', password: 'a secret' } }),
  });
  await using tacet = await site.start();
  await using pbx = await Sipp.start({
    scenario: 'pbx-challenges-again',
    port: site.pbxPorts[0]!,
    calls: 1,
    keys: times,
  });
  const { xml } = Scenario.caller()
    .answered()
    .pause(100)
    .reinvite({ direction: 'sendonly' })
    .pause(100)
    .request('UPDATE', { body: { direction: 'sendrecv' } })
    .pause(100)
    .hangsUp();
  const caller = await runSipp({
    scenario: { xml },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
  });
  expect(caller.exitCode, caller.errors).toBe(0);
  const called = await pbx.finished();
  expect(called.exitCode, called.errors).toBe(0);
  const signed = called.messages.flatMap(({ startLine, text }) => {
    const nonce = /^Authorization: [^\n]*nonce="([a-z]+)"[^\n]*nc=0*(\d+)/mu.exec(text);
    return nonce === null ? [] : [`${startLine.split(' ')[0]!} ${nonce[1]!} ${nonce[2]!}`];
  });
  expect(signed).toEqual([
    'INVITE first 1',
    'INVITE first 2',
    'INVITE second 1',
    'UPDATE second 2',
    'UPDATE third 1',
    'BYE third 2',
  ]);
  expect(called.messages.filter(({ startLine }) => startLine.includes('403'))).toEqual([]);
  expect(JSON.stringify(caller.messages)).not.toMatch(/Authenticate|SIP\/2\.0 4/u);
  await tacet.drain();
});

test.each([
  ['without credentials', {}],
  ['with a wrong password', { auth: { username: 'tacet', password: 'a guess' } }],
])('a challenge %s is not handed to the caller, who cannot answer it', async (_name, pbx) => {
  await using site = await prepareSite({ ...unselected, pbx: () => pbx });
  await using tacet = await site.start();
  await using _pbx = await Sipp.start({ scenario: 'pbx-challenges', port: site.pbxPorts[0]!, keys: times });
  const caller = await call(site, 'caller-is-rejected', {
    status: 'auth' in pbx ? '403 Forbidden' : '500 Server Internal Error',
  });
  expect(caller.exitCode, caller.errors).toBe(0);
  expect(JSON.stringify(caller.messages)).not.toMatch(/WWW-Authenticate/iu);
  await tacet.drain();
});

test('a redirection is handed to the caller with its Contact, unless the peer says to follow it', async () => {
  for (const redirects of ['pass', 'follow'] as const) {
    await using site = await prepareSite({
      ...unselected,
      pbxs: 2,
      trunk: { routes: ['pbx-0'] },
      pbx: () => ({ redirects }),
    });
    await using _tacet = await site.start();
    const redirect = `300@127.0.0.1:${site.pbxPorts[1]!}`;
    await using _first = await Sipp.start({
      scenario: 'pbx-redirects',
      port: site.pbxPorts[0]!,
      keys: { ...times, redirect },
    });
    if (redirects === 'pass') {
      const caller = await call(site, 'caller-is-rejected', { status: '302 Moved Temporarily' });
      expect(caller.exitCode, caller.errors).toBe(0);
      expect(textOf(caller, 'received', /^SIP\/2.0 302/u)).toContain(`Contact: <sip:${redirect}>`);
      continue;
    }
    await using second = await answering(site, 1);
    const caller = await call(site);
    expect(caller.exitCode, caller.errors).toBe(0);
    const invite = textOf(await second.finished(), 'received', /^INVITE/u);
    expect(invite).toMatch(/^INVITE sip:300@/u);
    expect(invite).toMatch(/^Diversion: *<sip:\+33800000001@127\.0\.0\.1:\d+>;reason=deflection/imu);
  }
});

test('a call of ours that comes back is carried without a second draw, linked, and stopped when it circles', async () => {
  await using site = await prepareSite({
    ...unselected,
    pbxs: 2,
    config: { routing: { maxPasses: 2 } },
    trunk: { routes: ['pbx-0'] },
  });
  await using tacet = await site.start();
  const tokenTo = async (called: Sipp): Promise<string> => {
    const invite = textOf(await called.finished(), 'received', /^INVITE/u);
    return /^X-Tacet-Pass: *(\S+)/imu.exec(invite)![1]!;
  };
  const forward = (token: string): Promise<SippResult> =>
    runSipp({
      scenario: 'caller-comes-back',
      target: { port: site.sipPort },
      port: site.pbxPorts[1]!,
      service: '+33800000001',
      keys: { ...times, token },
    });
  await using pbx = await answering(site, 0);
  expect((await call(site)).exitCode).toBe(0);
  const first = await tokenTo(pbx);
  await using carrier = await Sipp.start({
    scenario: 'pbx-answers',
    port: site.carrierPort,
    calls: 1,
    keys: times,
  });
  const once = await forward(first);
  expect(once.exitCode, once.errors).toBe(0);
  const twice = await forward(await tokenTo(carrier));
  expect(textOf(twice, 'received', /^SIP\/2.0 482/u)).toContain('482');
  await tacet.drain();
  const events = await site.events();
  const decided = events.filter((event) => event.kind === 'call.decided');
  expect(decided.length).toBe(1);
  expect(events.filter((event) => event.kind === 'call.linked')).toMatchObject([
    { of: decided[0]!.call, passes: 1 },
    { of: decided[0]!.call, passes: 2 },
  ]);
});

test('through a proxy that stays on the way, and that takes its time to find a PBX', async () => {
  await using site = await prepareSite({
    ...unselected,
    pbxs: 2,
    config: { routing: { firstResponseMs: 500 } },
  });
  const [dead, alive] = [await freePort(), await freePort()];
  await using _proxy = await startKamailio([dead, alive], site.pbxPorts[0]);
  await using _hung = await hungPbx(dead);
  await using tacet = await site.start();
  await using pbx = await Sipp.start({ scenario: 'pbx-answers', port: alive, calls: 1, keys: times });
  const caller = await call(site, 'caller-holds', { hold_direction: 'sendonly' });
  expect(caller.exitCode, caller.errors).toBe(0);
  const called = await pbx.finished();
  expect(called.exitCode, called.errors).toBe(0);
  // Its 100 Trying is a sign of life: the second PBX of the route was not asked.
  expect(await metric(tacet, 'tacet_peer_attempts_total{peer="pbx-0",result="answered"}')).toBe(1);
  expect(await metric(tacet, 'tacet_peer_attempts_total{peer="pbx-1",result="answered"}')).toBeUndefined();
  expect(textOf(called, 'received', /^INVITE/u)).toMatch(/^Record-Route: *<sip:127\.0\.0\.1:\d+;lr/imu);
  expect(textOf(called, 'received', /^BYE/u)).not.toMatch(/^Route:/imu);
});

test('an emergency call gets through while Redis hangs, the peer is over its limit and the agent drains', async () => {
  await using redis = await RedisServer.start();
  await using site = await prepareSite({
    campaign: { direction: 'outbound', rate: 1, match: { trunk: 'pbx-0' }, unknownNumbers: 'as-market' },
    config: {
      redis: { url: redis.url, timeoutMs: 1_000 },
      routing: { emergency: { routes: ['carrier'] } },
    },
    pbx: () => ({ maxCallsPerSecond: 0.01, routes: [] }),
  });
  await using tacet = await site.start();
  redis.freeze();
  await using carrier = await Sipp.start({
    scenario: 'pbx-answers',
    port: site.carrierPort,
    calls: 3,
    keys: times,
  });
  const dial = (service: string, scenario: CallerScenario, keys: SippKeys = {}): Promise<SippResult> =>
    runSipp({
      scenario,
      target: { port: site.sipPort },
      port: site.pbxPorts[0]!,
      service,
      keys: { ...times, ...keys },
    });
  const first = await dial('112', 'caller-call');
  expect(first.exitCode, first.errors).toBe(0);
  const byName = await dial('any', 'caller-calls-for-help');
  expect(byName.exitCode, byName.errors).toBe(0);
  const taken = await dial('no-such-number', 'caller-is-rejected', { status: '404 Not Found' });
  expect(taken.exitCode, taken.errors).toBe(0);
  const one = await dial('+33123456789', 'caller-is-rejected', { status: '503 Overloaded' });
  expect(one.exitCode, one.errors).toBe(0);
  await tacet.drain();
  const second = await dial('15', 'caller-call');
  expect(second.exitCode, second.errors).toBe(0);
  await tacet.drain();
  redis.thaw();
  const called = await carrier.finished();
  expect(called.successful).toBe(3);
  const invites = called.messages.filter(({ startLine }) => startLine.startsWith('INVITE'));
  expect(invites.map(({ startLine }) => /^INVITE sip:(\d+)@/u.exec(startLine)?.[1])).toEqual([
    '112',
    '112',
    '15',
  ]);
  const events = await site.events();
  expect(events.filter((event) => event.kind === 'call.decided')).toMatchObject([
    // Which of the two is noticed first depends on how long Redis has been away by then.
    { reason: expect.stringMatching(/^(?:unavailable|changes-unknown)$/u) as string },
  ]);
  expect(events.filter((event) => event.kind === 'call.ended')).toMatchObject([
    { outcome: 'emergency', answered: true },
    { outcome: 'emergency', answered: true },
    { outcome: 'rejected', answered: false },
    { outcome: 'emergency', answered: true },
  ]);
});

test('a peer over its limit gets 503 with Retry-After for the excess, and its calls that are up end well', async () => {
  await using site = await prepareSite({ ...unselected, trunk: { maxCallsPerSecond: 5, maxCalls: 40 } });
  await using tacet = await site.start();
  await using pbx = await Sipp.start({ scenario: { builtIn: 'uas' }, port: site.pbxPorts[0]! });
  const flood = await runSipp({
    scenario: { builtIn: 'uac' },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    calls: 100,
    rate: 100,
    args: ['-d', '1500'],
  });
  expect(flood.successful).toBeGreaterThanOrEqual(5);
  expect(flood.failed).toBeGreaterThan(20);
  expect(flood.successful + flood.failed).toBe(100);
  const refused = flood.messages.filter(({ startLine }) => startLine.startsWith('SIP/2.0 503'));
  expect(refused.length).toBeGreaterThanOrEqual(flood.failed);
  for (const { text } of refused) expect(text).toMatch(/^Retry-After: *\d+/imu);
  expect(await metric(tacet, 'tacet_peer_overload_total{peer="carrier",limit="max-rate"}')).toBe(
    flood.failed,
  );
  expect((await pbx.quit()).failed).toBe(0);
  await tacet.drain();
});

test('a recorded conversation loses nothing while another peer floods us', async () => {
  await using site = await prepareSite({
    campaign: { announcement: { prompt: './prompt.wav', graceMs: 100 } },
    pbxs: 2,
    trunk: { routes: ['pbx-0'] },
    pbx: (index) => (index === 1 ? { routes: [], maxCallsPerSecond: 5 } : {}),
  });
  const tone = ['synth', '0.5', 'sine', '600', 'vol', '0.2'];
  const format = ['-n', '-r', '8000', '-c', '1', '-b', '16'];
  await promisify(execFile)('sox', [...format, join(site.folder, 'prompt.wav'), ...tone]);
  await using tacet = await site.start();
  const talkMs = 10_000;
  const keys = { ring_ms: 50, talk_ms: talkMs };
  const audio = callAudio({ durationMs: talkMs });
  await using pbx = await Sipp.start({
    scenario: 'pbx-answers',
    port: site.pbxPorts[0]!,
    calls: 1,
    audio,
    keys,
  });
  const calling = runSipp({
    scenario: 'caller-call',
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    audio,
    keys,
  });
  await expect.poll(() => site.recordings(), { timeout: 20_000 }).toMatchObject([{ state: 'open' }]);
  const flood = await runSipp({
    scenario: { builtIn: 'uac' },
    target: { port: site.sipPort },
    port: site.pbxPorts[1]!,
    calls: 300,
    rate: 150,
  });
  expect(flood.failed).toBe(300);
  const result = await calling;
  expect(result.exitCode, result.errors).toBe(0);
  expect((await pbx.finished()).exitCode).toBe(0);
  await tacet.drain();
  const [recording] = await site.recordings();
  expect(recording).toMatchObject({ state: 'complete' });
  expect(recording!.details!.gaps.filter(({ kind }) => kind === 'lost')).toEqual([]);
});
