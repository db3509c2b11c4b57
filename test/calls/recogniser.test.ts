/** Spoken refusals that a speech server understands, by whole calls: SIPp says what a caller says, the server takes it for what the test says. */
import { expect, test } from 'vitest';
import { callAudio, g711Of } from '../peers/pcap.ts';
import { Scenario } from '../peers/scenario.ts';
import { VoskServer, type Answering } from '../peers/vosk-server.ts';
import { kindsOf, playCall, promptMs, selectingSite } from './selecting-site.ts';

const speech = new URL('../../config/prompts/demo/caller-fr.wav', import.meta.url).pathname;

/** One call whose caller says 700 ms of speech from an instant on, which the servers understand as they are told to. */
async function call(servers: readonly string[], fromMs: number) {
  await using site = await selectingSite({
    config: { recognisers: servers.map((url) => ({ url, languages: ['fr'] })) },
    campaign: { refusalVoice: 'recogniser', announcement: { language: 'fr' } },
  });
  const said = (await g711Of(speech)).subarray(0, 8 * 700);
  const g711 = new Uint8Array(8 * (fromMs + 700)).fill(0xd5);
  g711.set(said, 8 * fromMs);
  const { events } = await playCall(site, {
    caller: Scenario.caller()
      .answered()
      .pause(promptMs + 4_000)
      .hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
    options: { caller: { audio: callAudio({ g711, durationMs: promptMs + 4_500 }) } },
    talkMs: promptMs + 4_500,
  });
  return { events, recordings: await site.recordings() };
}

/** Nothing until somebody speaks, then `text`. */
const understoodAs =
  (text: string): Answering =>
  ({ level }) => ({ partial: level > 2_000 ? text : '' });

test('a bare no that is understood in the announcement is a refusal, with its word as evidence', async () => {
  await using server = await VoskServer.start(understoodAs('non'));
  const { events, recordings } = await call([server.url], 300);
  expect(recordings).toEqual([]);
  const refused = events.find(({ kind }) => kind === 'call.refused') as { by: object } | undefined;
  expect(refused?.by).toEqual({
    by: 'voice',
    layer: 'recogniser',
    word: 'non',
    provisional: true,
    at: expect.any(Number) as number,
  });
  expect(kindsOf(events)).not.toContain('recording.allowed');
  expect(server.sessions).toHaveLength(1);
  expect(server.ended).toBe(1);
});

test('who says something else is recorded: speaking alone is no refusal then', async () => {
  await using server = await VoskServer.start(understoodAs('bonjour'));
  const { events, recordings } = await call([server.url], 300);
  expect(recordings).toHaveLength(1);
  expect(kindsOf(events)).not.toContain('call.refused');
});

test('the unmistakable phrase in the conversation destroys what was recorded', async () => {
  await using server = await VoskServer.start(understoodAs("je refuse l'enregistrement"));
  const { events, recordings } = await call([server.url], promptMs + 1_200);
  expect(recordings).toEqual([]);
  expect(kindsOf(events)).toEqual(
    expect.arrayContaining(['recording.allowed', 'recording.destroyed', 'call.refused']),
  );
});

test('without a server that answers, whoever speaks has refused', async () => {
  const { events, recordings } = await call(['ws://127.0.0.1:1'], 300);
  expect(recordings).toEqual([]);
  expect(events.find(({ kind }) => kind === 'call.refused')).toMatchObject({
    by: { by: 'voice', layer: 'any-speech' },
  });
});
