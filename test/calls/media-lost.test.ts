import { expect, test } from 'vitest';
import { openMedia } from '../../agent/media-plane.ts';
import type { CallId } from '../../config/units.ts';
import type { MediaSession } from '../../media/plane.ts';
import { killWorker } from '../media/relay/kill-worker.ts';
import { freePort, freePortRange } from '../peers/free-port.ts';
import { callAudio } from '../peers/pcap.ts';
import { Scenario } from '../peers/scenario.ts';
import { Sipp } from '../peers/sipp.ts';
import { expectNothingLeft, selectingSite } from './selecting-site.ts';

const talk = { direction: 'sendrecv' } as const;
/** Long enough to be told, put through and struck in, on a machine that does other things beside. */
const talkMs = 10_000;

test('a media worker that dies costs its call the recording, not the talk: its parties are put through, other calls go on', async () => {
  const ports = [await freePort(), await freePort()];
  await using site = await selectingSite({
    pbxs: 2,
    config: {
      trunks: ports.map((port, index) => ({
        name: `carrier-${index}`,
        sources: ['127.0.0.1'],
        ports: [port],
        uri: `sip:127.0.0.1:${port}`,
        health: { intervalSeconds: 0 },
        routes: [`pbx-${index}`],
      })),
      media: { ports: await freePortRange(40), workers: 2 },
    },
    pbx: (index) => ({ routes: [`carrier-${index}`] }),
  });
  const sessions = new Map<CallId, MediaSession>();
  await using tacet = await site.start({
    media: async (...args) => {
      const plane = await openMedia(...args);
      const open = plane.open.bind(plane);
      plane.open = async (call) => {
        const session = await open(call);
        sessions.set(call, session);
        return session;
      };
      return plane;
    },
  });
  const legs = async (index: number, more: (scenario: Scenario) => Scenario) => {
    const audio = callAudio({ durationMs: talkMs });
    const pbx = await Sipp.start({
      scenario: { xml: more(Scenario.pbx().answers()).hungUp().xml },
      port: site.pbxPorts[index]!,
      calls: 1,
      audio,
    });
    const caller = await Sipp.start({
      scenario: { xml: more(Scenario.caller().answered()).pause(talkMs).hangsUp().xml },
      target: { port: site.sipPort },
      port: ports[index]!,
      service: '+33800000001',
      audio,
    });
    return { pbx, caller };
  };
  const recording = async (calls: number): Promise<void> =>
    await expect
      .poll(() => tacet.calls.list().filter(({ state }) => state === 'recording').length, { timeout: 30_000 })
      .toBe(calls);

  const struck = await legs(0, (scenario) => scenario.reinvited(talk));
  await using _struckPbx = struck.pbx;
  await using _struckCaller = struck.caller;
  await recording(1);
  const [call] = sessions.keys();
  const spared = await legs(1, (scenario) => scenario);
  await using _sparedPbx = spared.pbx;
  await using _sparedCaller = spared.caller;
  await recording(2);
  void killWorker(sessions.get(call!)!);

  // Each party is told of the other, and of no port of ours.
  const ofParty = (sipp: Sipp): RegExp => new RegExp(`^INVITE [^]*m=audio ${sipp.mediaPort} `, 'u');
  await struck.pbx.saw(ofParty(struck.caller));
  await struck.caller.saw(new RegExp(`^ACK [^]*m=audio ${struck.pbx.mediaPort} `, 'u'));
  for (const party of [struck.caller, struck.pbx, spared.caller, spared.pbx]) {
    const result = await party.finished();
    expect(result.exitCode, result.errors + result.output.slice(-1_000)).toBe(0);
  }
  await tacet.drain();
  expectNothingLeft(tacet);
  const events = await site.events();
  const closed = new Map(
    events.flatMap((event) => (event.kind === 'recording.closed' ? [[event.call, event.reason]] : [])),
  );
  expect(closed.get(call!)).toBe('media-lost');
  expect([...closed.values()].sort()).toEqual(['hangup', 'media-lost']);
  expect((await site.recordings()).map(({ state }) => state).sort()).toEqual(['complete', 'interrupted']);
});
