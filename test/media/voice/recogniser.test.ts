/** The client of a speech server against a server that plays the protocol as documented, and against others that do not. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadRefusalWords } from '../../../config/refusal-words.ts';
import { languages } from '../../../config/schema/values.ts';
import type { EpochMicros } from '../../../config/units.ts';
import type { HeardSpeech } from '../../../media/voice/any-speech.ts';
import { Recogniser, type HeardWord } from '../../../media/voice/recogniser.ts';
import { grammarOf, refusalIn } from '../../../media/voice/refusal-words.ts';
import type { StreamFault } from '../../../media/voice/vosk.ts';
import { VoskServer, type Answering } from '../../peers/vosk-server.ts';

const words = await loadRefusalWords();
const second = 1_000_000;

/** A party that a recogniser listens to; the test is its voice and its clock. */
class Party implements Disposable {
  readonly refusals: HeardWord[] = [];
  readonly speech: HeardSpeech[] = [];
  readonly finals: string[] = [];
  readonly faults: StreamFault[] = [];
  readonly recogniser: Recogniser;
  readonly #events = new EventTarget();
  at = 0 as EpochMicros;

  constructor(...servers: string[]) {
    const told = (): boolean => this.#events.dispatchEvent(new Event('told'));
    this.recogniser = new Recogniser({
      servers,
      words: words.fr,
      onRefusal: (heard) => (this.refusals.push(heard), told()),
      onSpeech: (heard) => (this.speech.push(heard), told()),
      onFinal: (verdict) => (this.finals.push(verdict), told()),
      onFault: (_, fault) => (this.faults.push(fault), told()),
    });
  }

  async until(what: () => boolean): Promise<void> {
    while (!what()) await once(this.#events, 'told');
  }

  /** So many tenths of a second of audio. */
  says(tenths = 1, level = 0): void {
    for (let tenth = 0; tenth < tenths; tenth += 1) {
      this.at = (this.at + second / 10) as EpochMicros;
      this.recogniser.hear(new Int16Array(800).fill(level), this.at);
    }
  }

  [Symbol.dispose](): void {
    this.recogniser[Symbol.dispose]();
  }
}

/** A party whose stream stands. */
async function connected(server: VoskServer): Promise<Party> {
  const party = new Party(server.url);
  await server.until(() => server.sessions[0]?.config !== undefined);
  return party;
}

const takenFor =
  (...texts: (string | object)[]): Answering =>
  ({ frames }) => {
    const text = texts[Math.min(frames, texts.length) - 1]!;
    return typeof text === 'string' ? { partial: text } : text;
  };

const final = (text: string, ...confidences: number[]): object => ({
  result: text.split(' ').map((word, index) => ({ conf: confidences[index] ?? 1, start: 0, end: 1, word })),
  text,
});

test('says what it sends and asks for, and sends samples as they were', async () => {
  await using server = await VoskServer.start(() => ({ partial: '' }));
  using party = await connected(server);
  expect(server.sessions[0]!.config).toEqual({
    sample_rate: 8_000,
    words: true,
    phrase_list: grammarOf(words.fr),
  });
  party.says(3, -12_345);
  await server.until(() => server.sessions[0]!.frames === 3);
  expect(server.sessions[0]!.level).toBe(12_345);
  party[Symbol.dispose]();
  await server.until(() => server.ended === 1);
});

test('what is said in the last moment is understood from the final at the end; less than a frame is sent too', async () => {
  await using server = await VoskServer.start(takenFor(''));
  server.ending = final('non', 0.8);
  using party = await connected(server);
  party.says(2);
  party.recogniser.hear(new Int16Array(300), (party.at + 37_500) as EpochMicros);
  await party.recogniser.end();
  expect(server.sessions[0]!.frames).toBe(3);
  expect(party.refusals).toEqual([{ word: 'non', score: 0.8, provisional: false, at: 237_500 }]);
  expect(party.faults).toEqual([]);
});

test('who speaks in the last moment and is not answered for has refused, as without a server', async () => {
  await using server = await VoskServer.start(() => undefined);
  server.ending = undefined;
  using party = await connected(server);
  party.says(2);
  party.recogniser.speaks({ score: 0.9, at: party.at });
  await party.recogniser.end();
  expect(party.speech).toEqual([{ score: 0.9, at: 200_000 }]);
  expect(party.refusals).toEqual([]);
});

test('a refusal that may still change acts at once; its final confirms it, once', async () => {
  await using server = await VoskServer.start(
    takenFor('', 'je', 'je refuse', final('je refuse', 0.9, 0.7), ''),
  );
  using party = await connected(server);
  party.says(5);
  await party.until(() => party.finals.length > 0);
  expect(party.refusals).toEqual([{ word: 'je refuse', score: undefined, provisional: true, at: 300_000 }]);
  expect(party.finals).toEqual(['confirmed']);
});

test('a refusal that its final takes back is counted as taken back', async () => {
  await using server = await VoskServer.start(takenFor('non', final('nom')));
  using party = await connected(server);
  party.says(2);
  await party.until(() => party.finals.length > 0);
  expect(party.refusals).toHaveLength(1);
  expect(party.finals).toEqual(['withdrawn']);
});

test('of a final, the least sure word is the score', async () => {
  await using server = await VoskServer.start(takenFor(final('non je refuse', 0.9, 0.62, 0.8)));
  using party = await connected(server);
  party.says();
  await party.until(() => party.refusals.length > 0);
  expect(party.refusals).toEqual([{ word: 'je refuse', score: 0.62, provisional: false, at: 100_000 }]);
});

test('a server that is set to give alternatives is understood by its first', async () => {
  const answer = {
    alternatives: [
      { text: 'non', confidence: 231.4 },
      { text: 'nom', confidence: 12 },
    ],
  };
  await using server = await VoskServer.start(() => answer);
  using party = await connected(server);
  party.says();
  await party.until(() => party.refusals.length > 0);
  expect(party.refusals).toEqual([{ word: 'non', score: undefined, provisional: false, at: 100_000 }]);
});

test('five seconds after the announcement bare words are conversation, and the unmistakable is not', async () => {
  const said = { text: '' };
  await using server = await VoskServer.start(() => ({ partial: said.text }));
  using party = await connected(server);
  party.recogniser.told(0 as EpochMicros);
  expect([4, 6].map((at) => party.recogniser.minds((at * second) as EpochMicros))).toEqual([true, false]);
  // The clock, not the audio: nobody sends six seconds at once.
  party.at = (6 * second) as EpochMicros;
  said.text = 'non';
  party.says(1);
  await server.until(() => server.sessions[0]!.frames === 1);
  said.text = "non je refuse l'enregistrement";
  party.says(1);
  await party.until(() => party.refusals.length > 0);
  expect(party.refusals.map(({ word }) => word)).toEqual(["je refuse l'enregistrement"]);
});

test('who speaks and is answered for has not refused by speaking', async () => {
  await using server = await VoskServer.start(() => ({ partial: 'bonjour' }));
  using party = await connected(server);
  party.says(2, 9_000);
  party.recogniser.speaks({ score: 0.9, at: 150_000 as EpochMicros });
  // Longer than an answer may take, by the timer that would have told.
  const passed = new Promise((resolve) => setTimeout(resolve, 1_600));
  party.says(2, 9_000);
  await passed;
  expect(party.speech).toEqual([]);
  expect(party.refusals).toEqual([]);
});

test('who speaks on and on over the announcement does not listen: an answering machine', async () => {
  await using server = await VoskServer.start(() => ({ partial: 'vous êtes bien chez' }));
  using party = await connected(server);
  const speaks = (ms: number): void =>
    party.recogniser.speaks({ score: 0.9, at: (ms * 1_000) as EpochMicros });
  // With a pause that a person makes to listen, nobody speaks for long.
  for (const ms of [0, 500, 1_000, 2_500, 3_000, 3_500, 5_000]) speaks(ms);
  party.says(1);
  expect(party.speech).toEqual([]);
  for (let ms = 5_400; ms <= 8_400; ms += 400) speaks(ms);
  await party.until(() => party.speech.length > 0);
  expect(party.speech[0]).toEqual({ score: 0.9, at: 8_200_000 });
});

test('a server that does not answer in time leaves it to any speech', async () => {
  await using server = await VoskServer.start(() => undefined);
  using party = await connected(server);
  party.says(5);
  party.recogniser.speaks({ score: 0.9, at: 450_000 as EpochMicros });
  await party.until(() => party.speech.length > 0);
  expect(party.speech).toEqual([{ score: 0.9, at: 450_000 }]);
});

test('a server that falls three seconds behind is given up, and another one asked', async () => {
  await using slow = await VoskServer.start(() => undefined);
  await using other = await VoskServer.start(() => ({ partial: '' }));
  using party = new Party(slow.url, other.url);
  await slow.until(() => slow.sessions[0]?.config !== undefined);
  party.says(31);
  await party.until(() => party.faults.length > 0);
  expect(party.faults).toEqual(['behind']);
  await other.until(() => other.sessions[0]?.config !== undefined);
});

test('a server that dies is followed by the next, which hears the same party', async () => {
  await using dying = await VoskServer.start(() => ({ partial: '' }));
  await using other = await VoskServer.start(() => ({ partial: 'je refuse' }));
  using party = new Party(dying.url, other.url);
  await dying.until(() => dying.sessions[0]?.config !== undefined);
  dying.drop();
  await party.until(() => party.faults.length > 0);
  await other.until(() => other.sessions[0]?.config !== undefined);
  party.says();
  await party.until(() => party.refusals.length > 0);
  expect(party.faults).toEqual(['closed']);
});

test('a server that is not there, and one that accepts and says nothing, are given up', async () => {
  await using silent = createServer((socket) => socket.on('error', () => undefined).resume());
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  using party = new Party('ws://127.0.0.1:1', `ws://127.0.0.1:${port}`);
  await party.until(() => party.faults.length >= 2);
  expect(party.faults.slice(0, 2)).toEqual(['unreachable', 'unreachable']);
});

test.each([
  ['no JSON', 'non'],
  ['JSON of another kind', '[1, 2]'],
  ['an object that is no answer', '{"partial": 1}'],
  ['more than an answer can be', JSON.stringify({ partial: 'x'.repeat(100_000) })],
])('a server that lies is given up: %s', async (_, answer) => {
  await using server = await VoskServer.start(() => answer);
  using party = await connected(server);
  party.says();
  await party.until(() => party.faults.length > 0);
  expect(party.refusals).toEqual([]);
});

test('an answer to nothing gives away a server of another kind', async () => {
  await using server = await VoskServer.start(() => ({ partial: '' }));
  using party = await connected(server);
  server.tell({ text: '' });
  await party.until(() => party.faults.length > 0);
  expect(party.faults).toEqual(['malformed']);
});

test('whatever a server takes speech for, only the words of a refusal are one', () => {
  const vocabulary = Object.values(words).flatMap((each) => [
    ...each.short,
    ...each.unmistakable,
    ...each.decoys,
  ]);
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(...vocabulary), fc.string())),
      fc.constantFrom(...languages),
      fc.boolean(),
      (said, language, bare) => {
        const found = refusalIn(said.join(' '), words[language], bare);
        if (found === undefined) return;
        const { short, unmistakable } = words[language];
        expect([...unmistakable, ...(bare ? short : [])]).toContain(found);
      },
    ),
  );
});

test('no decoy holds a refusal, and every refusal is found in itself', () => {
  for (const { short, unmistakable, decoys } of Object.values(words)) {
    for (const decoy of decoys)
      expect(refusalIn(decoy, { short, unmistakable, decoys }, true)).toBeUndefined();
    for (const phrase of unmistakable) {
      expect(refusalIn(`bon ${phrase} merci`, { short, unmistakable, decoys }, false)).toBe(phrase);
    }
    for (const word of short) {
      expect(refusalIn(word, { short, unmistakable, decoys }, true)).toBe(word);
      expect(refusalIn(word, { short, unmistakable, decoys }, false)).toBeUndefined();
    }
  }
});
