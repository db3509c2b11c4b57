/** Spoken refusals that a speech server understands, by whole calls: SIPp says what a caller says, the server takes it for what the test says. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodePcma } from '../../media/codec/g711.ts';
import { callAudio, g711Of } from '../peers/pcap.ts';
import { Scenario } from '../peers/scenario.ts';
import { makeCtc, makeTransducer } from '../peers/speech-model.ts';
import { VoskServer, type Answering } from '../peers/vosk-server.ts';
import { kindsOf, playCall, promptMs, selectingSite } from './selecting-site.ts';

const speech = new URL('../../config/prompts/demo/caller-fr.wav', import.meta.url).pathname;

const saidMs = 700;

/** One call from whose caller this audio comes from an instant on. */
async function hearing(
  recognisers: readonly object[],
  said: Uint8Array,
  fromMs: number,
  prepare: (folder: string) => Promise<void> = () => Promise.resolve(),
) {
  await using site = await selectingSite({
    config: { recognisers },
    campaign: { refusalVoice: 'recogniser', announcement: { language: 'fr' } },
  });
  await prepare(site.folder);
  const g711 = new Uint8Array(8 * (fromMs + saidMs)).fill(0xd5);
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

/** One call whose caller says something from an instant on, which the servers understand as they are told to. */
async function call(servers: readonly string[], fromMs: number) {
  const said = (await g711Of(speech)).subarray(0, 8 * saidMs);
  return hearing(
    servers.map((url) => ({ url, languages: ['fr'] })),
    said,
    fromMs,
  );
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

test('a refusal in the last words before the hang-up, understood after it: what was recorded is destroyed', async () => {
  await using server = await VoskServer.start(understoodAs('bonjour'));
  server.ending = { text: "je refuse l'enregistrement" };
  const { events, recordings } = await call([server.url], promptMs + 1_200);
  expect(recordings).toEqual([]);
  expect(kindsOf(events)).toEqual(
    expect.arrayContaining(['recording.allowed', 'recording.destroyed', 'call.refused']),
  );
  expect(events.at(-1)).toMatchObject({ outcome: 'refused', recorded: false });
});

test('without a server that answers, whoever speaks has refused', async () => {
  const { events, recordings } = await call(['ws://127.0.0.1:1'], 300);
  expect(recordings).toEqual([]);
  expect(events.find(({ kind }) => kind === 'call.refused')).toMatchObject({
    by: { by: 'voice', layer: 'any-speech' },
  });
});

/** One call whose caller makes a tone, for which the site has a model that takes it for a word. */
async function toneOf(hertz: number, make: typeof makeTransducer) {
  const tone = Int16Array.from(
    { length: 8 * saidMs },
    (_, at) => 9_000 * Math.sin((2 * Math.PI * hertz * at) / 8_000),
  );
  const recognisers = [{ model: './model', languages: ['fr'] }];
  return hearing(recognisers, encodePcma(tone), 300, (folder) => make(join(folder, 'model')));
}

test.each([
  ['a no', 1_000, makeTransducer, { by: 'voice', layer: 'recogniser', word: 'non' }],
  ['a no, by a model of another kind', 1_000, makeCtc, { by: 'voice', layer: 'recogniser', word: 'non' }],
  ['a yes', 2_000, makeTransducer, undefined],
])("what a model of the site's own takes for %s is one", async (_, hertz, make, by) => {
  const { events, recordings } = await toneOf(hertz, make);
  const refused = events.find(({ kind }) => kind === 'call.refused') as { by: object } | undefined;
  if (by === undefined) expect(refused).toBeUndefined();
  else expect(refused?.by).toMatchObject(by);
  expect(recordings).toHaveLength(by === undefined ? 1 : 0);
});

test('a model that cannot be run leaves it to any speech, and calls go on', async () => {
  const broken: typeof makeCtc = async (folder) => {
    await makeCtc(folder);
    await writeFile(join(folder, 'model.int8.onnx'), 'no model');
  };
  const { events, recordings } = await toneOf(1_000, broken);
  expect(kindsOf(events)).not.toContain('call.refused');
  expect(recordings).toHaveLength(1);
});
