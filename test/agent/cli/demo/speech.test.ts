import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { alawOf, readSpeech, SpeechUnreadable } from '../../../../agent/cli/demo/speech.ts';
import { g711Of } from '../../../peers/pcap.ts';

const file = (name: string): string =>
  new URL(`../../../../config/prompts/demo/${name}.wav`, import.meta.url).pathname;

describe("the demo's speech", () => {
  it.each(['caller-fr', 'agent-fr'])('%s is coded in A-law as sox codes it, to within one step', async (name) => {
    const ours = await readSpeech(file(name));
    const theirs = await g711Of(file(name));
    expect(ours.length).toBe(theirs.length);
    const level = (code: number): number => (code ^ 0x55) & 0x7f;
    const furthest = ours.reduce(
      (worst, code, index) => Math.max(worst, Math.abs(level(code) - level(theirs[index]!))),
      0,
    );
    expect(furthest).toBeLessThanOrEqual(1);
  });

  it.each([
    [0, 0xd5],
    [-1, 0x55],
    [32_767, 0xaa],
    [-32_768, 0x2a],
    [1_000, 0xfa],
  ])('sample %i is %i (ITU-T G.711 table 1a)', (sample, code) => {
    expect(alawOf(sample)).toBe(code);
  });

  it('refuses what it cannot play, and says what it wants', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tacet-speech-'));
    try {
      const text = join(folder, 'text.wav');
      await writeFile(text, 'no sound at all');
      await expect(readSpeech(text)).rejects.toThrow(SpeechUnreadable);
      const stereo = Buffer.concat([
        Buffer.from('RIFF\x28\0\0\0WAVEfmt \x10\0\0\0', 'latin1'),
        Buffer.from('01000200401f0000007d000004001000', 'hex'),
        Buffer.from('data\x04\0\0\0\0\0\0\0', 'latin1'),
      ]);
      await writeFile(join(folder, 'stereo.wav'), stereo);
      await expect(readSpeech(join(folder, 'stereo.wav'))).rejects.toThrow(/2 channels.*mono/u);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
