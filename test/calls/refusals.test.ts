/**
 * Every way of pressing the key that refuses, at every time of a call, by SIPp: each leaves nothing in the store but the evidence.
 * What is spoken: `voice.test.ts` and `recogniser.test.ts`.
 */
import { expect, test } from 'vitest';
import { encodePcma } from '../../media/codec/g711.ts';
import { dialled } from '../media/dtmf/dual-tone.ts';
import { callAudio } from '../peers/pcap.ts';
import { Scenario } from '../peers/scenario.ts';
import { pcma } from '../peers/sipp.ts';
import {
  graceMs,
  kindsOf,
  playCall,
  promptMs,
  selectingSite,
  soundness,
  type Steps,
} from './selecting-site.ts';

const talkMs = 3_500;
const key = '2';
const body = { type: 'application/dtmf-relay', text: `Signal=${key}\nDuration=160` };
const tone = encodePcma(dialled([key], { onMs: 100, offMs: 40, lowDbm0: -10, highDbm0: -8 }, () => 0));

/** One who refuses so many milliseconds after the answer, and hangs up at the end of the talk; the agent hears the key only when it is there. */
const means: Record<
  string,
  (atMs: number, bridged: boolean) => Pick<Steps, 'caller' | 'pbx' | 'press' | 'options'>
> = {
  'a telephone-event': (atMs) => ({
    caller: Scenario.caller().answered().pause(talkMs).hangsUp(),
    pbx: Scenario.pbx().answers().hungUp(),
    press: { caller: [{ digit: key, atMs }] },
  }),
  'an INFO': (atMs, bridged) => ({
    caller: Scenario.caller()
      .answered()
      .pause(atMs)
      .request('INFO', { body })
      .pause(Math.max(0, talkMs - atMs - 200))
      .hangsUp(),
    pbx: (bridged ? Scenario.pbx().answers().expect('INFO').reply() : Scenario.pbx().answers()).hungUp(),
  }),
  'a tone': (atMs) => {
    const g711 = new Uint8Array(8 * atMs + tone.length).fill(0xd5);
    g711.set(tone, 8 * atMs);
    return {
      caller: Scenario.caller().answered().pause(talkMs).hangsUp(),
      pbx: Scenario.pbx().answers().hungUp(),
      options: { caller: { formats: [pcma], audio: callAudio({ g711, durationMs: talkMs }) } },
    };
  },
};

const moments: [when: string, atMs: number, kept: boolean][] = [
  ['as the announcement begins', 20, false],
  ['in the announcement', 400, false],
  ['in the time after it', promptMs + graceMs / 2, false],
  ['in the conversation', 2_500, true],
  ['at the last moment before the hang-up', talkMs - 200, true],
];

test.each(Object.keys(means).flatMap((by) => moments.map((moment) => [by, ...moment] as const)))(
  'a refusal by %s %s leaves nothing but the evidence',
  async (by, _when, atMs, kept) => {
    await using site = await selectingSite();
    const { events } = await playCall(site, { ...means[by]!(atMs, kept), talkMs });
    expect(await site.recordings()).toEqual([]);
    const refused = events.filter(({ kind }) => kind === 'call.refused');
    expect(refused).toEqual([
      expect.objectContaining({ by: expect.objectContaining({ by: 'key', digit: key }) as object }),
    ]);
    expect(kindsOf(events).filter((kind) => kind.startsWith('recording.'))).toEqual(
      kept ? ['recording.allowed', 'recording.destroyed'] : [],
    );
    expect(events.at(-1)).toMatchObject({
      kind: 'call.ended',
      outcome: 'refused',
      answered: true,
      recorded: false,
    });
    expect(await soundness(site)).toMatch(/^sound/u);
  },
);
