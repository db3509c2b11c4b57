import { expect, test } from 'vitest';
import { ringAgent } from '../../../agent/call/ringing.ts';
import type { SelectedCall } from '../../../agent/call/selected.ts';
import { notYet } from '../../../agent/sip/early-dialog.ts';
import type { DialOptions, Dialled } from '../../../agent/sip/edge.ts';

const far = { reliable: false, branch: undefined, early: { update: notYet } };
const failed: Dialled = { kind: 'failed', status: 486, reason: 'Busy Here', headers: {} };

/** What the caller hears, one word for each change, while PBXs behave as the test says. */
async function heardWhile(...pbxs: ((progress: Progress) => Promise<Dialled>)[]): Promise<string[]> {
  const heard: string[] = [];
  const agent: { lastPacketAt: number | undefined } = { lastPacketAt: undefined };
  let now = 5_000_000;
  const waiting: { word: string; times: number; resolve: () => void }[] = [];
  const count = (word: string): number => heard.filter((each) => each === word).length;
  const hears = (word: string): void => {
    heard.push(word);
    for (const each of waiting) if (count(each.word) >= each.times) each.resolve();
  };
  const call = {
    invite: { call: 'c', calledWhole: '200', marks: {}, from: {} },
    media: {
      agent: { offer: async () => 'offer', accept: async () => undefined },
      caller: {
        playTone: (_tone: unknown, over: AbortSignal) =>
          new Promise<void>((resolve) => {
            hears('ringing');
            over.addEventListener('abort', () => resolve());
          }),
      },
      connect: async () => hears('the PBX'),
      disconnect: async () => undefined,
      statistics: async () => ({ agent }),
    },
    house: {
      now: () => now,
      shutdown: new AbortController().signal,
      log: { warn: () => undefined },
      config: { sip: { answerTimeoutSeconds: 60, ringingTone: 'eu' }, routing: { attempts: 3 } },
      edge: {
        candidates: () => pbxs.map((_pbx, index) => ({ name: `${index}` })),
        dial: ({ to, onProgress }: DialOptions) =>
          pbxs[Number(to.name)]!({
            says: (status, sdp) => onProgress!(status, sdp, far),
            speaks: () => void (agent.lastPacketAt = now),
            passes: (ms) => void (now += ms * 1_000),
            hears: (word, times) =>
              new Promise((resolve) =>
                count(word) >= times ? resolve() : void waiting.push({ word, times, resolve }),
              ),
          }),
      },
    },
  } as unknown as SelectedCall;
  await ringAgent(call, new AbortController().signal);
  return heard;
}

interface Progress {
  says: (status: number, sdp?: string) => void;
  /** A packet of the PBX arrives now. */
  speaks: () => void;
  passes: (ms: number) => void;
  hears: (word: 'ringing' | 'the PBX', times: number) => Promise<void>;
}

test('a 180 while early media goes on does not ring over it; once it has been silent for a second it rings', async () => {
  const heard = await heardWhile(async ({ says, speaks, passes, hears }) => {
    says(180);
    says(183, 'sdp');
    await hears('the PBX', 1);
    speaks();
    says(180);
    passes(900);
    passes(200);
    await hears('ringing', 2);
    return failed;
  });
  expect(heard).toEqual(['ringing', 'the PBX', 'ringing']);
});

test('early media that goes on after all takes the place of the ringing again', async () => {
  const heard = await heardWhile(async ({ says, speaks, hears }) => {
    says(183, 'sdp');
    await hears('the PBX', 1);
    says(180);
    await hears('ringing', 2);
    speaks();
    await hears('the PBX', 2);
    return failed;
  });
  expect(heard).toEqual(['ringing', 'the PBX', 'ringing', 'the PBX']);
});

test('early media without a 180 after it may be silent: the PBX knows what it plays', async () => {
  const heard = await heardWhile(async ({ says, passes, hears }) => {
    says(183, 'sdp');
    await hears('the PBX', 1);
    passes(5_000);
    return failed;
  });
  expect(heard).toEqual(['ringing', 'the PBX']);
});

test('when a PBX that played something fails, it rings while the next one is tried', async () => {
  const heard = await heardWhile(
    async ({ says, hears }) => {
      says(183, 'sdp');
      await hears('the PBX', 1);
      return { ...failed, status: 503 };
    },
    async ({ hears }) => {
      await hears('ringing', 2);
      return failed;
    },
  );
  expect(heard).toEqual(['ringing', 'the PBX', 'ringing']);
});
