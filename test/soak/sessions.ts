/**
 * RFC 4028 at its own pace: sessions of 90 s, the shortest that there may be, between SIPp on either side of a whole Tacet.
 * A side that stops (its port stays open, nothing is answered) must cost its call within the session, and the far end must
 * be told by BYE; a call of which both ends live must outlast it. The protocol's every turn is tested with a fake clock
 * (`test/agent/sip/server/session.test.ts`); this is the clock on the wall.
 */
import type { Tacet } from '../../agent/main.ts';
import { prepareSite } from '../calls/tacet-under-test.ts';
import { Scenario } from '../peers/scenario.ts';
import { Sipp } from '../peers/sipp.ts';
import type { Found } from './soak.ts';

const sessionSeconds = 90;
const timer = 'Supported: timer';
const talk = { direction: 'sendrecv' } as const;
const timeoutMs = 150_000;
const releaseMs = 45_000;

interface Trial {
  caller: Scenario;
  pbx: Scenario;
  /** The side that stops when the call is up; undefined: both live. */
  stops?: 'caller' | 'pbx';
  /** Seconds from the answer to the end, at least and at most. */
  lasts: [number, number];
}

const session = (refresher: 'uac' | 'uas'): string[] => [
  timer,
  `Session-Expires: ${sessionSeconds};refresher=${refresher}`,
];
const answering = (headers: string[]): Scenario =>
  Scenario.pbx().responds('200 OK', { body: talk, headers }).expect('ACK');
/** A side without session timers, which lives: it is asked whether it does after half of the session. */
const lives = (side: Scenario): Scenario => side.expect('OPTIONS').reply().hungUp();
const plainCaller = (): Scenario => lives(Scenario.caller().answeredInSilence());

/** Section 10: who does not refresh hangs up a third of the session before its end, 32 s at most: here after 60 s. */
const unrefreshed: [number, number] = [55, 75];
/** We refresh after half of the session, and give up 32 s later (timer F). */
const unanswered: [number, number] = [70, 95];

const trials: Record<string, Trial> = {
  'a PBX that was to refresh stops': {
    caller: plainCaller(),
    pbx: answering(session('uas')).hungUp(),
    stops: 'pbx',
    lasts: unrefreshed,
  },
  'a PBX that we refresh stops': {
    caller: plainCaller(),
    pbx: answering(session('uac')).hungUp(),
    stops: 'pbx',
    lasts: unanswered,
  },
  'a PBX that knows no session timers stops': {
    caller: plainCaller(),
    pbx: answering([]).hungUp(),
    stops: 'pbx',
    lasts: unanswered,
  },
  'a caller that was to refresh stops': {
    caller: Scenario.caller({ body: talk, headers: session('uac') })
      .answeredInSilence()
      .hungUp(),
    pbx: lives(answering([])),
    stops: 'caller',
    lasts: unrefreshed,
  },
  'both live': {
    caller: Scenario.caller({ body: talk, headers: session('uac') })
      .answeredInSilence()
      .pause(40_000)
      .request('UPDATE', { headers: session('uac') })
      .pause(58_000)
      .hangsUp(),
    pbx: answering([
      timer,
      'Allow: INVITE, ACK, BYE, CANCEL, UPDATE',
      `Session-Expires: ${sessionSeconds};refresher=uac`,
    ])
      .expect('UPDATE', { has: [`Session-Expires: ${sessionSeconds};refresher=uac`] })
      .reply('200 OK', { headers: session('uac') })
      .expect('UPDATE')
      .reply('200 OK', { headers: session('uac') })
      .hungUp(),
    lasts: [97, 110],
  },
};

export async function run(_minutes: number | undefined, say: (line: string) => void): Promise<Found> {
  const names = Object.keys(trials);
  const results = await Promise.all(
    names.map(async (name) => {
      const { seconds, faults } = await play(trials[name]!);
      say(`${name}: ${seconds} s${faults.map((fault) => `; ${fault}`).join('')}`);
      return { seconds, faults: faults.map((fault) => `${name}: ${fault}`) };
    }),
  );
  return {
    figures: {
      sessionSeconds,
      seconds: Object.fromEntries(names.map((name, index) => [name, results[index]!.seconds])),
    },
    faults: results.flatMap(({ faults }) => faults),
  };
}

async function play({
  caller: calling,
  pbx: called,
  stops,
  lasts,
}: Trial): Promise<{ seconds: number; faults: string[] }> {
  await using site = await prepareSite({
    campaign: { rate: 0 },
    sip: { sessionExpiresSeconds: sessionSeconds },
  });
  await using tacet = await site.start();
  await using pbx = await Sipp.start({
    scenario: { xml: called.xml },
    port: site.pbxPorts[0]!,
    calls: 1,
    timeoutMs,
  });
  await using caller = await Sipp.start({
    scenario: { xml: calling.xml },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    timeoutMs,
  });
  await pbx.saw(/^ACK /mu);
  const from = performance.now();
  const [stopped, others] =
    stops === 'caller' ? [caller, [pbx]] : stops === 'pbx' ? [pbx, [caller]] : [undefined, [caller, pbx]];
  stopped?.freeze();
  try {
    const results = await Promise.all(others.map((each) => each.finished()));
    const seconds = Math.round((performance.now() - from) / 100) / 10;
    const faults = results.flatMap(({ exitCode, errors }) =>
      exitCode === 0 ? [] : [`SIPp failed: ${errors}`],
    );
    if (seconds < lasts[0] || seconds > lasts[1])
      faults.push(`it lasted ${seconds} s, not ${lasts[0]} to ${lasts[1]}`);
    const left = await leftOf(tacet);
    if (left !== undefined) faults.push(`left of the call: ${left}`);
    return { seconds, faults };
  } finally {
    stopped?.thaw();
  }
}

/** What an ended call still holds when its BYE to the side that stopped has been given up (timer F), if anything. */
async function leftOf({ calls, held, sipServer }: Tacet): Promise<string | undefined> {
  const deadline = performance.now() + releaseMs;
  for (;;) {
    const { transactions, dialogs, timers } = sipServer!.statistics();
    const left = { calls: calls.size, media: held.mediaSessions, transactions, dialogs, timers };
    if (Object.values(left).every((count) => count === 0)) return undefined;
    if (performance.now() > deadline) return JSON.stringify(left);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
