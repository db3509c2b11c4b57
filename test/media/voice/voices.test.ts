import { once } from 'node:events';
import type { MessagePort } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { EpochMicros } from '../../../config/units.ts';
import type { SaidAudio } from '../../../media/plane.ts';
import type { HeardSpeech } from '../../../media/voice/any-speech.ts';
import { Voices } from '../../../media/voice/voices.ts';
import { g711Of } from '../../peers/pcap.ts';

const speech = new URL('../../../config/prompts/demo/caller-fr.wav', import.meta.url).pathname;

/** A side of which the test is the far end. */
function side() {
  const held: { port?: MessagePort; left: number } = { left: 0 };
  return {
    held,
    listen(port: MessagePort) {
      held.port = port;
      return {
        [Symbol.dispose]() {
          held.left += 1;
          port.close();
        },
      };
    },
    say(bytes: Uint8Array, at: number) {
      for (let from = 0; from < bytes.length; from += 160) {
        const payload = bytes.slice(from, from + 160);
        held.port!.postMessage({
          codec: 'PCMA',
          payload,
          at: (at + from) as EpochMicros,
        } satisfies SaidAudio);
      }
    },
  };
}

test('of two who are listened to, the one who speaks is heard, once, with its time', async () => {
  const lost: string[] = [];
  await using voices = new Voices({ onLost: (reason) => lost.push(reason) });
  await voices.ready;
  expect(voices.hears).toBe(true);
  const [silent, speaking] = [side(), side()];
  using quiet = voices.listen(silent);
  using heard = voices.listen(speaking);
  silent.say(new Uint8Array(16_000).fill(0xd5), 0);
  speaking.say(new Uint8Array(await g711Of(speech)), 1_000);
  if (!heard.spoke.aborted) await once(heard.spoke, 'abort');
  const { score, at } = heard.spoke.reason as HeardSpeech;
  expect(score).toBeGreaterThan(0.5);
  expect(at).toBeGreaterThan(1_000);
  expect(quiet.spoke.aborted).toBe(false);
  expect(lost).toEqual([]);
});

test('who is let go is heard no more', async () => {
  await using voices = new Voices({ onLost: () => undefined });
  await voices.ready;
  const speaking = side();
  const heard = voices.listen(speaking);
  heard[Symbol.dispose]();
  expect(speaking.held.left).toBe(1);
  expect(heard.spoke.aborted).toBe(false);
});
