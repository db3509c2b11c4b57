import { expect, test } from 'vitest';
import {
  Sipp,
  runSipp,
  type CallerScenario,
  type PbxScenario,
  type SippKeys,
  type SippResult,
} from '../peers/sipp.ts';
import { prepareSite } from './tacet-under-test.ts';

const unselected = { campaign: { rate: 0 } };
const times: SippKeys = { talk_ms: 150, hold_ms: 150, ring_ms: 60 };

/** One call through Tacet, SIPp on both sides; both must be content. */
async function callThrough(
  caller: CallerScenario,
  pbx: PbxScenario,
  keys: SippKeys = {},
): Promise<Record<'caller' | 'pbx', SippResult>> {
  await using site = await prepareSite(unselected);
  await using _tacet = await site.start();
  await using called = await Sipp.start({
    scenario: pbx,
    port: site.pbxPorts[0]!,
    calls: 1,
    keys: { ...times, ...keys },
  });
  const result = await runSipp({
    scenario: caller,
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    keys: { ...times, ...keys },
  });
  expect(result.exitCode, result.errors + result.output.slice(-3_000)).toBe(0);
  const other = await called.finished();
  expect(other.exitCode, other.errors + other.output.slice(-3_000)).toBe(0);
  expect(await site.recordings()).toEqual([]);
  return { caller: result, pbx: other };
}

const pairs: [string, CallerScenario, PbxScenario, SippKeys?][] = [
  ['a call that the caller ends', 'caller-call', 'pbx-answers'],
  ['a call that the PBX ends', 'caller-waits-for-bye', 'pbx-hangs-up'],
  ['a call with early media', 'caller-call', 'pbx-early-media'],
  ['a caller who gives up', 'caller-cancels', 'pbx-never-answers'],
  ['a busy agent', 'caller-is-rejected', 'pbx-is-busy', { status: '486 Busy Here' }],
  ['a declined call', 'caller-is-rejected', 'pbx-rejects', { status: '603 Decline' }],
  ['a hold by the caller and its end', 'caller-holds', 'pbx-answers', { hold_direction: 'sendonly' }],
  ['an inactive hold and its end', 'caller-holds', 'pbx-answers', { hold_direction: 'inactive' }],
  ['a hold by the PBX and its end', 'caller-waits-for-bye', 'pbx-holds', { hold_direction: 'sendonly' }],
  [
    'a second re-INVITE after a rejected one',
    'caller-reinvites-again-after-488',
    'pbx-rejects-first-reinvite',
  ],
  ['a re-INVITE without SDP', 'caller-reinvites-without-sdp', 'pbx-answers'],
  ['an INVITE without SDP', 'caller-offers-late', 'pbx-answers'],
  ['an INFO within the call', 'caller-sends-info', 'pbx-answers'],
];

test.each(pairs)('%s passes through', async (_name, caller, pbx, keys) => {
  await callThrough(caller, pbx, keys);
});

test('the SDP of either party reaches the other untouched: media flows directly', async () => {
  const { caller, pbx } = await callThrough('caller-call', 'pbx-answers');
  const bodyOf = (result: SippResult, direction: 'sent' | 'received', start: RegExp): string => {
    const message = result.messages.find(
      (each) => each.direction === direction && start.test(each.startLine),
    );
    return (
      message?.text
        .split(/\r?\n\r?\n/u)
        .slice(1)
        .join('\n')
        .replaceAll('\r', '')
        .trim() ?? 'no such message'
    );
  };
  expect(bodyOf(pbx, 'received', /^INVITE/u)).toBe(bodyOf(caller, 'sent', /^INVITE/u));
  expect(bodyOf(caller, 'received', /^SIP\/2.0 200/u)).toBe(bodyOf(pbx, 'sent', /^SIP\/2.0 200/u));
});

test('a PBX that fails is passed over for the next one of the route', async () => {
  await using site = await prepareSite({ ...unselected, pbxs: 2 });
  await using _tacet = await site.start();
  const keys = { ...times, status: '503 Service Unavailable' };
  await using failing = await Sipp.start({
    scenario: 'pbx-rejects',
    port: site.pbxPorts[0]!,
    calls: 1,
    keys,
  });
  await using willing = await Sipp.start({
    scenario: 'pbx-answers',
    port: site.pbxPorts[1]!,
    calls: 1,
    keys,
  });
  const caller = await runSipp({
    scenario: 'caller-call',
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    keys,
  });
  expect(caller.exitCode, caller.errors).toBe(0);
  expect([(await failing.finished()).exitCode, (await willing.finished()).exitCode]).toEqual([0, 0]);
});

test('an agent who lets it ring too long is given up, and the caller told 480', async () => {
  await using site = await prepareSite({ ...unselected });
  await using _tacet = await site.start();
  await using ringing = await Sipp.start({
    scenario: 'pbx-never-answers',
    port: site.pbxPorts[0]!,
    calls: 1,
  });
  const caller = await runSipp({
    scenario: 'caller-is-rejected',
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    keys: { status: '480 Temporarily Unavailable' },
  });
  expect(caller.exitCode, caller.errors).toBe(0);
  expect((await ringing.finished()).exitCode).toBe(0);
});

test('a hundred calls at fifty a second all come through, and nothing is left of them', async () => {
  await using site = await prepareSite(unselected);
  await using tacet = await site.start();
  await using pbx = await Sipp.start({ scenario: { builtIn: 'uas' }, port: site.pbxPorts[0]!, calls: 100 });
  const caller = await runSipp({
    scenario: { builtIn: 'uac' },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    calls: 100,
    rate: 50,
    args: ['-d', '200'],
  });
  expect(caller).toMatchObject({ exitCode: 0, successful: 100, failed: 0 });
  await pbx.finished();
  await tacet.drain();
  expect(tacet.callsInProgress).toBe(0);
});
