/** Speech models in a process beside the agent: the real sherpa-onnx, with models that take a tone for a word. */
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { EpochMicros } from '../../../config/units.ts';
import { modelIn, ModelFolderUnusable } from '../../../media/voice/sherpa/model-folder.ts';
import {
  SpeechDidNotStart,
  startSpeechProcess,
  type SpeechProcess,
} from '../../../media/voice/speech-process.ts';
import { frameSamples, sampleRate, VoskStream, type Recognised } from '../../../media/voice/vosk.ts';
import { makeCtc, makeTransducer } from '../../peers/speech-model.ts';
import { temporaryFolder, type TemporaryFolder } from '../../peers/temporary-folder.ts';

let home: TemporaryFolder;
let speech: SpeechProcess;
const deaths: unknown[] = [];
beforeAll(async () => {
  home = await temporaryFolder('speech');
  const folders = ['transducer', 'ctc'].map((name) => join(home.path, name));
  await makeTransducer(folders[0]!);
  await makeCtc(folders[1]!);
  speech = await startSpeechProcess(folders, (code) => deaths.push(code));
});
afterAll(async () => {
  await speech[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

const said = { non: 1_000, oui: 2_000, nothing: 0 } as const;

/** A tenth of a second of a tone. */
function frameOf(hertz: number): Int16Array {
  return Int16Array.from(
    { length: frameSamples },
    (_, at) => 9_000 * Math.sin((2 * Math.PI * hertz * at) / sampleRate),
  );
}

/** What is understood of tones, each with its length in milliseconds. */
async function understood(
  url: string,
  tones: readonly (readonly [keyof typeof said, number])[],
): Promise<Recognised[]> {
  const all: Recognised[] = [];
  const news = new EventTarget();
  using stream = new VoskStream({
    url,
    grammar: [],
    onRecognised: (recognised) => {
      all.push(recognised);
      news.dispatchEvent(new Event('answer'));
    },
    onFault: (fault, detail) => expect.unreachable(`${fault}: ${detail}`),
  });
  while (!stream.open) await after(5);
  let sent = 0;
  for (const [word, ms] of tones)
    for (let at = 0; at < ms; at += 100) {
      sent += 1;
      stream.send(frameOf(said[word]), sent as EpochMicros);
      while (all.length < sent) await once(news, 'answer');
    }
  return all;
}

describe.each(['transducer', 'ctc'])('a model that is a %s', (kind) => {
  const url = (): string => speech.urls[kind === 'ctc' ? 1 : 0]!;

  test('understands who speaks, at first provisionally; each frame has one answer', async () => {
    const heard = await understood(url(), [
      ['nothing', 600],
      ['non', 600],
      ['nothing', 3_500],
      ['oui', 600],
      ['nothing', 3_500],
    ]);
    expect(heard.map(({ at }) => at)).toEqual(heard.map((_, index) => index + 1));
    expect(heard.slice(0, 6).every(({ text }) => text === '')).toBe(true);
    expect(heard.find(({ text }) => text !== '')).toMatchObject({ text: 'non', final: false });
    const finals = heard.filter(({ final, text }) => final && text !== '');
    expect(finals.map(({ text }) => text)).toEqual(['non', 'oui']);
    for (const { confidence } of finals) if (kind === 'transducer') expect(confidence).toBeGreaterThan(0.5);
  });

  test('hears several at once, each alone', async () => {
    const both = await Promise.all(
      (['non', 'oui'] as const).map((word) =>
        understood(url(), [
          [word, 600],
          ['nothing', 600],
        ]),
      ),
    );
    const words = both.map((heard) =>
      [...new Set(heard.map(({ text }) => text))].filter((text) => text !== ''),
    );
    expect(words).toEqual([['non'], ['oui']]);
  });
});

test.each<[what: string, path: string, messages: (string | Buffer)[]]>([
  ['audio before the configuration', '/0', [Buffer.alloc(1_600)]],
  ['text that is no message', '/0', ['{']],
  ['a rate that nobody has', '/0', ['{"config":{"sample_rate":1}}']],
  ['a frame that is too large', '/0', [Buffer.alloc(64_000)]],
  ['a model that is not there', '/7', []],
])('%s closes the connection, and the others go on', async (_, path, messages) => {
  const socket = new WebSocket(`${new URL(speech.urls[0]!).origin}${path}`);
  socket.on('open', () => {
    for (const each of messages) socket.send(each);
  });
  await once(socket, 'close');
  const heard = await understood(speech.urls[0]!, [
    ['non', 600],
    ['nothing', 600],
  ]);
  expect(heard.at(-1)).toMatchObject({ text: 'non' });
});

test('a process that is killed is started again, at the same place', async () => {
  const { pid } = speech;
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => speech.pid, { timeout: 10_000 }).not.toBe(pid);
  expect(deaths).toHaveLength(1);
  const heard = await understood(speech.urls[1]!, [
    ['oui', 600],
    ['nothing', 600],
  ]);
  expect(heard.at(-1)).toMatchObject({ text: 'oui' });
});

test('a model that cannot be run is told with what the library said', async () => {
  const folder = join(home.path, 'broken');
  await makeCtc(folder);
  await writeFile(join(folder, 'model.int8.onnx'), 'no model');
  await expect(startSpeechProcess([folder], () => undefined)).rejects.toThrow(SpeechDidNotStart);
  await expect(startSpeechProcess([folder], () => undefined)).rejects.toThrow(/protobuf|onnx/iu);
});

test.each<[what: string, names: string[], files: Record<string, string> | RegExp]>([
  [
    'a transducer, the lighter of two precisions',
    ['tokens.txt', 'encoder.onnx', 'encoder.int8.onnx', 'decoder.onnx', 'joiner.int8.onnx', 'README.md'],
    { kind: 'transducer', encoder: 'encoder.int8.onnx', decoder: 'decoder.onnx', joiner: 'joiner.int8.onnx' },
  ],
  ['CTC', ['tokens.txt', 'ctc-epoch-20.onnx'], { kind: 'ctc', model: 'ctc-epoch-20.onnx' }],
  ['no tokens', ['model.onnx'], /tokens\.txt is missing/u],
  [
    'half a transducer',
    ['tokens.txt', 'encoder.onnx', 'joiner.onnx'],
    /it holds encoder\.onnx, joiner\.onnx/u,
  ],
  ['no model', ['tokens.txt'], /it holds no \*\.onnx/u],
])('a folder with %s', async (_, names, files) => {
  await using place = await temporaryFolder('model');
  const folder = join(place.path, 'model');
  await mkdir(folder);
  for (const name of names) await writeFile(join(folder, name), '');
  if (files instanceof RegExp) {
    await expect(modelIn(folder)).rejects.toThrow(files);
    await expect(modelIn(folder)).rejects.toThrow(ModelFolderUnusable);
    return;
  }
  const { kind, ...parts } = files;
  const whole = Object.entries(parts).map(([part, name]) => [part, join(folder, name)]);
  expect(await modelIn(folder)).toEqual({
    kind,
    tokens: join(folder, 'tokens.txt'),
    ...Object.fromEntries(whole),
  });
});
