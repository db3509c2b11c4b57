/** Refusals that are spoken, by whole calls: SIPp says what a caller says, and the thread that hears voices is the real one. */
import { expect, test } from 'vitest';
import { g711Of, callAudio } from '../peers/pcap.ts';
import { Scenario } from '../peers/scenario.ts';
import { kindsOf, playCall, promptMs, selectingSite } from './selecting-site.ts';

const speech = new URL('../../config/prompts/demo/caller-fr.wav', import.meta.url).pathname;

/** One call whose caller says so many milliseconds of speech from an instant on. */
async function call(campaign: object, fromMs: number, saidMs: number) {
  const site = await selectingSite({ campaign: { refusalVoice: 'any-speech', ...campaign } });
  const said = (await g711Of(speech)).subarray(0, 8 * saidMs);
  const g711 = new Uint8Array(8 * (fromMs + saidMs)).fill(0xd5);
  g711.set(said, 8 * fromMs);
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

test('where a yes is asked for, what is said is none, and no refusal either', async () => {
  const { events, recordings } = await call(
    { market: 'DE', announcement: { consentPrompt: './prompt.wav', consentGraceMs: 400 } },
    200,
    700,
  );
  expect(recordings).toEqual([]);
  expect(kindsOf(events)).not.toContain('call.refused');
});
