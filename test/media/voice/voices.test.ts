import { once } from 'node:events';
import type { MessagePort } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { EpochMicros } from '../../../config/units.ts';
import type { SaidAudio } from '../../../media/plane.ts';
import type { HeardSpeech } from '../../../media/voice/any-speech.ts';
import { Voices } from '../../../media/voice/voices.ts';
import { decodePcma } from '../../../media/codec/g711.ts';
import { G722Encoder } from '../../../media/codec/g722.ts';
import { encodeOpus } from '../../../media/codec/opus.ts';
import { doubleWhole } from '../../../media/codec/resample.ts';
import type { CodecName } from '../../../media/codec/formats.ts';
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
    /** Packets of 20 ms, sent at once; their arrivals tell how many samples of 8 kHz came before. */
    say(packets: readonly Uint8Array[], at: number, codec: CodecName = 'PCMA') {
      for (const [index, payload] of packets.entries()) {
        const said: SaidAudio = { codec, payload, at: (at + index * 160) as EpochMicros };
        held.port!.postMessage(said);
      }
    },
  };
}

function inPackets(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / 160) }, (_, at) =>
    bytes.slice(at * 160, (at + 1) * 160),
  );
}

test('of two who are listened to, the one who speaks is heard, once, with its time', async () => {
  const lost: string[] = [];
  await using voices = new Voices({ onLost: (reason) => lost.push(reason) });
  await voices.ready;
  expect(voices.hears).toBe(true);
  const [silent, speaking] = [side(), side()];
  using quiet = voices.listen(silent);
  using heard = voices.listen(speaking);
  silent.say(inPackets(new Uint8Array(16_000).fill(0xd5)), 0);
  speaking.say(inPackets(await g711Of(speech)), 1_000);
  if (!heard.spoke.aborted) await once(heard.spoke, 'abort');
  const { score, at } = heard.spoke.reason as HeardSpeech;
  expect(score).toBeGreaterThan(0.5);
  expect(at).toBeGreaterThan(1_000);
  expect(quiet.spoke.aborted).toBe(false);
  expect(lost).toEqual([]);
});

test.each([
  ['G722', (said: Int16Array) => inPackets(new G722Encoder().encode(doubleWhole(said)))],
  ['OPUS', (said: Int16Array) => encodeOpus(said, 8_000)],
] as const)('two who speak in %s at once are both heard, and silence is not', async (codec, encode) => {
  await using voices = new Voices({ onLost: () => undefined });
  await voices.ready;
  const said = decodePcma(await g711Of(speech));
  const [silent, first, second] = [side(), side(), side()];
  using quiet = voices.listen(silent);
  const heard = [voices.listen(first), voices.listen(second)];
  silent.say(encode(new Int16Array(16_000)), 0, codec);
  for (const each of [first, second]) each.say(encode(said), 0, codec);
  for (const { spoke } of heard) if (!spoke.aborted) await once(spoke, 'abort');
  expect(heard.map(({ spoke }) => (spoke.reason as HeardSpeech).score > 0.5)).toEqual([true, true]);
  expect(quiet.spoke.aborted).toBe(false);
  for (const each of heard) each[Symbol.dispose]();
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
