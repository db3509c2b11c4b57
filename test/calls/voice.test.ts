/**
 * Refusals that are spoken, and what is said to whoever refuses, by whole calls: SIPp says what a caller says, and the thread that hears
 * voices is the real one.
 */
import { expect, test } from 'vitest';
import { encodePcma } from '../../media/codec/g711.ts';
import { loadPrompt } from '../../media/prompts/load.ts';
import { renderTone } from '../../media/prompts/tones.ts';
import { freePortRange } from '../peers/free-port.ts';
import { g711Of, callAudio } from '../peers/pcap.ts';
import { Scenario } from '../peers/scenario.ts';
import { Capture } from '../peers/tshark.ts';
import { kindsOf, playCall, promptMs, selectingSite } from './selecting-site.ts';

const speech = new URL('../../config/prompts/demo/caller-fr.wav', import.meta.url).pathname;

/** One call whose caller says so many milliseconds of speech from an instant on. */
async function call(campaign: object, fromMs: number, saidMs: number) {
  return hearing(campaign, fromMs, (await g711Of(speech)).subarray(0, 8 * saidMs));
}

/** One call from whose caller this audio comes from an instant on. */
async function hearing(campaign: object, fromMs: number, audio: Uint8Array) {
  const site = await selectingSite({ campaign: { refusalVoice: 'any-speech', ...campaign } });
  const g711 = new Uint8Array(8 * fromMs + audio.length).fill(0xd5);
  g711.set(audio, 8 * fromMs);
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(promptMs + 2_500)
      .hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
    options: { caller: { audio: callAudio({ g711, durationMs: promptMs + 3_000 }) } },
  });
  const recordings = await site.recordings();
  await site[Symbol.asyncDispose]();
  return { events, recordings };
}

test('who speaks while the announcement is played has refused: nothing is kept but the evidence', async () => {
  const { events, recordings } = await call({}, 200, 700);
  expect(recordings).toEqual([]);
  const refused = events.find(({ kind }) => kind === 'call.refused');
  expect(refused).toMatchObject({ by: { by: 'voice', layer: 'any-speech' } });
  expect(Object.keys((refused as { by: object }).by).sort()).toEqual(['at', 'by', 'layer', 'score']);
  expect(kindsOf(events)).not.toContain('recording.allowed');
  expect(events.at(-1)).toMatchObject({ outcome: 'refused', answered: true, recorded: false });
});

test('who speaks in the time after the announcement has refused', async () => {
  const { events, recordings } = await call({ announcement: { graceMs: 1_500 } }, promptMs + 200, 700);
  expect(recordings).toEqual([]);
  expect(events.find(({ kind }) => kind === 'call.refused')).toMatchObject({ by: { by: 'voice' } });
});

test('who is silent until then is recorded, and what is said later is the conversation', async () => {
  const { events, recordings } = await call({}, promptMs + 900, 1_500);
  expect(recordings).toHaveLength(1);
  expect(kindsOf(events)).not.toContain('call.refused');
});

/** Broken chords with their overtones, as music on hold has them. */
function music(ms: number): Uint8Array {
  const roots = [262, 220, 175, 196];
  const sample = (at: number): number => {
    const root = roots[Math.floor(at / 4_000) % roots.length]!;
    const note = root * [1, 1.25, 1.5, 2][Math.floor(at / 1_000) % 4]!;
    const fades = Math.exp(-(at % 1_000) / 700);
    return (
      fades *
      [1, 2, 3].reduce((sum, part) => sum + Math.sin((2 * Math.PI * note * part * at) / 8_000) / part, 0)
    );
  };
  return encodePcma(Int16Array.from({ length: 8 * ms }, (_, at) => 7_000 * sample(at)));
}

test.each([
  ['words', async () => (await g711Of(speech)).subarray(0, 8 * 700)],
  ['silence', () => Promise.resolve(new Uint8Array())],
  ['music', () => Promise.resolve(music(promptMs + 2_000))],
])('where a yes is asked for, %s: that is none, and no refusal either', async (_, audio) => {
  const campaign = { market: 'DE', announcement: { consentPrompt: './prompt.wav', consentGraceMs: 400 } };
  const { events, recordings } = await hearing(campaign, 200, await audio());
  expect(recordings).toEqual([]);
  expect(kindsOf(events)).not.toContain('recording.allowed');
  expect(kindsOf(events)).not.toContain('call.refused');
});

test('whoever refuses in the conversation is told so at once, and the agent hears a tone', async () => {
  await using site = await selectingSite({ campaign: { announcement: { refusedPrompt: 'fr-refused' } } });
  const [caller, agent] = [(await freePortRange(4)).min, (await freePortRange(4)).min];
  await using wire = await Capture.start(
    `udp port ${site.sipPort} or udp port ${caller} or udp port ${agent}`,
  );
  const talkMs = promptMs + 4_500;
  await playCall(site, {
    caller: Scenario.caller().answered().pause(talkMs).hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
    options: { caller: { mediaPort: caller }, pbx: { mediaPort: agent } },
    press: { caller: [{ digit: '2', atMs: promptMs + 900 }] },
    talkMs,
  });
  await wire.stop();
  const heardAt = async (port: number): Promise<string> =>
    (await wire.packets(`rtp and udp.dstport == ${port}`, ['rtp.payload']))
      .map((packet) => packet['rtp.payload']!.replaceAll(':', ''))
      .join('');
  const { encoded } = await loadPrompt('fr-refused');
  expect(await heardAt(caller)).toContain(Buffer.from(encoded.PCMA.bytes).toString('hex'));
  const notice = Buffer.from(renderTone({ plan: 'FR', kind: 'notice' }).PCMA.bytes);
  expect(await heardAt(agent)).toContain(notice.subarray(0, 1_600).toString('hex'));
});

test.each([
  ['where silence lets a recording begin', {}],
  [
    'where a yes is asked for',
    { market: 'DE', announcement: { consentPrompt: './prompt.wav', consentGraceMs: 400 } },
  ],
])('an answering machine that takes our call is not recorded: %s', async (_, campaign) => {
  await using site = await selectingSite({
    campaign: {
      direction: 'outbound',
      match: { trunk: 'pbx-0' },
      unknownNumbers: 'as-market',
      refusalVoice: 'any-speech',
      ...campaign,
    },
  });
  const greeting = { g711: await g711Of(speech), durationMs: promptMs + 4_000 };
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(promptMs + 1_500)
      .hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
    options: {
      caller: { port: site.pbxPorts[0]!, service: '+33100000001' },
      pbx: { port: site.carrierPort, audio: callAudio(greeting) },
    },
  });
  expect(await site.recordings()).toEqual([]);
  expect(kindsOf(events)).not.toContain('recording.allowed');
  expect(events.at(-1)).toMatchObject({ answered: true, recorded: false });
});
