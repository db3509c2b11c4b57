import { expect, test } from 'vitest';
import { freePort, freePortRange } from '../peers/free-port.ts';
import { callAudio } from '../peers/pcap.ts';
import { Sipp, runSipp, type SippKeys, type SippOptions, type SippResult } from '../peers/sipp.ts';
import { Capture } from '../peers/tshark.ts';
import { expectNothingLeft, selectingSite } from './selecting-site.ts';
import { prepareSite, type Site } from './tacet-under-test.ts';
import { textOf } from './text-of.ts';

const unselected = { campaign: { rate: 0 } };
const times: SippKeys = { talk_ms: 150, ring_ms: 60 };
const here = '127.0.0.1';

test('calls leave from the listener of the peer, health checks too, and stay there', async () => {
  const [outside, inside] = [await freePort(), await freePort()];
  await using site = await prepareSite({
    ...unselected,
    sip: {
      listen: [
        { name: 'outside', address: here, port: outside },
        { name: 'inside', address: here, port: inside },
      ],
    },
    trunk: { listener: 'outside' },
    pbx: () => ({ listener: 'inside', health: { intervalSeconds: 60 } }),
  });
  const sentFrom = (port: number): RegExp => new RegExp(`^Via: SIP/2.0/UDP 127.0.0.1:${port};`, 'mu');
  await using answersOptions = await Sipp.start({
    scenario: 'pbx-answers-options',
    port: site.pbxPorts[0]!,
    calls: 1,
  });
  await using tacet = await site.start();
  expect((await answersOptions.saw(/^OPTIONS/mu)).text).toMatch(sentFrom(inside));
  await answersOptions.finished();

  for (const { from, to, entry, exit } of [
    { from: site.carrierPort, to: site.pbxPorts[0]!, entry: outside, exit: inside },
    { from: site.pbxPorts[0]!, to: site.carrierPort, entry: inside, exit: outside },
  ]) {
    await using answering = await Sipp.start({ scenario: 'pbx-answers', port: to, calls: 1, keys: times });
    const caller = await runSipp({
      scenario: 'caller-call',
      target: { port: entry },
      port: from,
      service: '+33800000001',
      keys: times,
    });
    expect(caller.exitCode, caller.errors).toBe(0);
    const answered = await answering.finished();
    expect(answered.exitCode, answered.errors).toBe(0);
    for (const method of ['INVITE', 'ACK', 'BYE']) {
      const request = textOf(answered, 'received', new RegExp(`^${method} `, 'u'));
      expect(request).toMatch(sentFrom(exit));
      expect(request).not.toMatch(/listener=/u);
    }
    const contact = (port: number): RegExp => new RegExp(`^Contact: *<sip:[^>]*:${port}>`, 'imu');
    expect(textOf(answered, 'received', /^INVITE/u)).toMatch(contact(exit));
    expect(textOf(caller, 'received', /^SIP\/2.0 200/u)).toMatch(contact(entry));
  }
  await tacet.drain();
  expectNothingLeft(tacet);
});

test('whole calls over TCP, with holds, from any port of the carrier: tshark finds nothing malformed', async () => {
  const sipPort = await freePort();
  await using site = await prepareSite({
    ...unselected,
    sip: { listen: [{ transport: 'tcp', address: here, port: sipPort }] },
    pbx: (_index, port) => ({ uri: `sip:${here}:${port};transport=tcp` }),
  });
  await using tacet = await site.start();
  const ports = [sipPort, site.pbxPorts[0]!];
  await using wire = await Capture.start(ports.map((port) => `tcp port ${port}`).join(' or '));
  const asSip = ports.map((port) => `tcp.port==${port},sip`);
  for (const scenario of ['caller-holds', 'caller-identifies'] as const) {
    await using answering = await Sipp.start({
      scenario: 'pbx-answers',
      port: site.pbxPorts[0]!,
      transport: 'tcp',
      calls: 1,
      keys: times,
    });
    const caller = await runSipp({
      scenario,
      target: { port: sipPort },
      transport: 'tcp',
      service: '+33800000001',
      keys: times,
    });
    expect(caller.exitCode, caller.errors).toBe(0);
    const answered = await answering.finished();
    expect(answered.exitCode, answered.errors).toBe(0);
  }
  await tacet.drain();
  expectNothingLeft(tacet);
  await wire.stop();
  const requests = await wire.packets('sip.Method', ['sip.Method'], asSip);
  // Two calls, each seen on two legs: an INVITE more for each hold and its end.
  const count = (method: string): number =>
    requests.filter((packet) => packet['sip.Method'] === method).length;
  expect({ invites: count('INVITE'), byes: count('BYE') }).toEqual({ invites: 8, byes: 4 });
  expect(await wire.complaints(asSip)).toEqual([]);
});

/** A trunk that speaks IPv6 alone and a PBX that speaks IPv4 alone. */
async function familySite(selected: boolean): Promise<Site & { sixPort: number; carrierSix: number }> {
  const [sixPort, fourPort, carrierSix] = [await freePort('::1'), await freePort(), await freePort('::1')];
  const site = await (selected ? selectingSite : prepareSite)({
    ...(selected ? {} : unselected),
    sip: {
      listen: [
        { name: 'outside', address: '::1', port: sixPort },
        { name: 'inside', address: here, port: fourPort },
      ],
    },
    trunk: { sources: ['::1'], ports: [carrierSix], uri: `sip:[::1]:${carrierSix}` },
    config: {
      media: { outside: { address: '::1' }, inside: { address: here }, ports: await freePortRange(40) },
    },
  });
  return { ...site, sipPort: fourPort, sixPort, carrierSix };
}

interface TwoFamilies {
  six: SippResult;
  four: SippResult;
  complaints: unknown[];
}

/** One call from the trunk, or to it. */
async function callBetween(
  from: 'trunk' | 'pbx',
  selected: boolean,
  { talkMs = 150 }: { talkMs?: number } = {},
): Promise<TwoFamilies & { site: Site }> {
  const site = await familySite(selected);
  await using tacet = await site.start();
  await using wire = await Capture.start(`udp port ${site.sixPort} or udp port ${site.sipPort}`);
  const trunk: Partial<SippOptions> = { address: '::1', port: site.carrierSix };
  const pbx: Partial<SippOptions> = { port: site.pbxPorts[0]! };
  const audio = callAudio({ durationMs: talkMs });
  const both = { keys: { ...times, talk_ms: talkMs }, calls: 1, audio };
  await using answering = await Sipp.start({
    scenario: 'pbx-answers',
    ...both,
    ...(from === 'trunk' ? pbx : trunk),
  });
  const caller = await runSipp({
    scenario: 'caller-call',
    service: '+33800000001',
    ...both,
    ...(from === 'trunk'
      ? { ...trunk, target: { address: '::1', port: site.sixPort } }
      : { ...pbx, target: { port: site.sipPort } }),
  });
  expect(caller.exitCode, caller.errors + caller.output.slice(-2_000)).toBe(0);
  const answered = await answering.finished();
  expect(answered.exitCode, answered.errors).toBe(0);
  await tacet.drain();
  expectNothingLeft(tacet);
  await wire.stop();
  const complaints = await wire.complaints([
    `udp.port==${site.sixPort},sip`,
    `udp.port==${site.sipPort},sip`,
  ]);
  const [six, four] = from === 'trunk' ? [caller, answered] : [answered, caller];
  return { site, six, four, complaints };
}

const bodyOf = (text: string): string => text.split('\n\n').slice(1).join('\n\n').trim();

test.each(['trunk', 'pbx'] as const)(
  'an unselected call between IPv6 and IPv4, from the %s: signalling alone changes the family',
  async (from) => {
    const { site, six, four, complaints } = await callBetween(from, false);
    await using _site = site;
    const [caller, called] = from === 'trunk' ? [six, four] : [four, six];
    const invite = textOf(called, 'received', /^INVITE/u);
    expect(bodyOf(invite)).toBe(bodyOf(textOf(caller, 'sent', /^INVITE/u)));
    const address = from === 'trunk' ? String.raw`127\.0\.0\.1` : String.raw`\[::1\]`;
    expect(invite).toMatch(new RegExp(`^Via: SIP/2.0/UDP ${address}:\\d+;`, 'mu'));
    expect(invite).toMatch(new RegExp(`^Contact: <sip:[^@>]*@${address}:\\d+>`, 'mu'));
    expect(invite.split('\n\n')[0]).not.toMatch(from === 'trunk' ? /::1/u : /127\.0\.0\.1/u);
    expect(complaints).toEqual([]);
  },
);

test('a recorded call between IPv6 and IPv4: each side has media of its own family', async () => {
  const { site, six, four, complaints } = await callBetween('trunk', true, { talkMs: 3_000 });
  await using _site = site;
  expect(textOf(six, 'received', /^SIP\/2.0 200/u)).toMatch(/^c=IN IP6 ::1$/mu);
  expect(textOf(four, 'received', /^INVITE/u)).toMatch(/^c=IN IP4 127\.0\.0\.1$/mu);
  expect(complaints).toEqual([]);
  const [recording] = await site.recordings();
  expect(recording).toMatchObject({ state: 'complete' });
  expect((await site.events()).find(({ kind }) => kind === 'call.ended')).toMatchObject({
    outcome: 'recorded',
    quality: { caller: { lossRatio: 0 }, agent: { lossRatio: 0 } },
  });
});
