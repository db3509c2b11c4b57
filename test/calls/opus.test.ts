/** Whole calls in Opus, baresip at both ends: told, heard, recorded in it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Phone } from '../peers/baresip.ts';
import { findIn, readWav } from '../peers/wav.ts';
import { expectNothingLeft, selectingSite } from './selecting-site.ts';

const speech = (name: string): string =>
  new URL(`../../config/prompts/demo/${name}.wav`, import.meta.url).pathname;
const number = '+33800000001';
const codec = 'opus';

/** A site between two telephones, and the call of one to the other; the caller speaks so long after it was answered. */
async function call(waitsMs: number) {
  await using open = new AsyncDisposableStack();
  const lastsMs = 40_000;
  const caller = open.use(
    await Phone.start({ user: '+33199000001', speech: speech('caller-fr'), waitsMs, lastsMs, codec }),
  );
  const phone = open.use(
    await Phone.start({
      user: number,
      speech: speech('agent-fr'),
      waitsMs: 500,
      lastsMs,
      codec,
      answers: 'auto',
    }),
  );
  const site = open.use(
    await selectingSite({
      trunk: { ports: [caller.port], uri: caller.uri },
      pbx: () => ({ ports: [phone.port], uri: phone.uri }),
      campaign: { refusalVoice: 'any-speech' },
    }),
  );
  const tacet = open.use(await site.start());
  await caller.dial(`sip:${number}@127.0.0.1:${site.sipPort}`);
  await phone.saw('CALL_ESTABLISHED', 30_000);
  const held = open.move();
  return { caller, phone, site, tacet, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

test('who is silent while told is recorded: each side on its channel, at 16 kHz, as it was said', async () => {
  await using at = await call(6_000);
  const { caller, phone, site, tacet } = at;
  await phone.heardFor(12_000, 40_000);
  await caller.hangUp();
  await tacet.drain();
  expectNothingLeft(tacet);
  const [recording] = await site.recordings();
  expect(recording!.details!.undecoded).toEqual([]);
  const file = join(site.folder, 'recording.wav');
  await writeFile(file, await site.audio(recording!.header.recording));
  const { channels, sampleRate } = await readWav(file);
  expect(sampleRate).toBe(16_000);
  for (const [side, name] of ['caller-fr', 'agent-fr'].entries()) {
    const words = (await readWav(speech(name))).channels[0]!.subarray(0, 8_000 * 2);
    const narrow = channels.map((channel) => channel.filter((_, sample) => sample % 2 === 0));
    expect(findIn(narrow[side]!, words).likeness).toBeGreaterThan(0.8);
    expect(findIn(narrow[1 - side]!, words).likeness).toBeLessThan(0.5);
  }
});

test('who speaks while told has refused, and nothing is kept', async () => {
  await using at = await call(300);
  const { caller, site, tacet } = at;
  await expect
    .poll(async () => (await site.events()).find(({ kind }) => kind === 'call.refused'), { timeout: 15_000 })
    .toMatchObject({ by: { by: 'voice', layer: 'any-speech' } });
  await caller.hangUp();
  await tacet.drain();
  expect(await site.recordings()).toEqual([]);
});
