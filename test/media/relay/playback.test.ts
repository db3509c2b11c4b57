import { expect, test } from 'vitest';
import { encodeAll } from '../../../media/prompts/encoded.ts';
import { Playback } from '../../../media/relay/playback.ts';

const audio = encodeAll(new Int16Array(160 * 10).fill(1_000));

function playing(repeat: boolean, sent: number): Playback {
  const playback = new Playback(1, audio, repeat, 0);
  playback.sent = sent;
  return playback;
}

test('a clock that jumps between any two frames of a prompt leaves it unheard', () => {
  for (let sent = 1; sent < 10; sent += 1)
    expect(playing(false, sent).catchUp(20 * sent + 1_001)).toBe(false);
});

test('a stall is caught up with, a longer one goes on from now, before the first frame it costs nothing', () => {
  const short = playing(false, 3);
  expect(short.catchUp(60 + 150)).toBe(true);
  expect(short.dueAt).toBe(60);
  const long = playing(false, 3);
  expect(long.catchUp(60 + 900)).toBe(true);
  expect(long.dueAt).toBe(960);
  expect(playing(false, 0).catchUp(5_000)).toBe(true);
});

test('a tone goes on after whatever stall', () => {
  expect(playing(true, 4).catchUp(60_000)).toBe(true);
});
