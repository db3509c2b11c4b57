/** How well keys in the audio are heard: misses within ITU-T Q.24, talk-offs on hours of speech, latency, cost. */
import { encodePcma } from '../../media/codec/g711.ts';
import { InBandReceiver } from '../../media/dtmf/in-band.ts';
import { randomFrom } from '../../agent/cli/demo/plan.ts';
import { dialled, digits, type DualTone } from '../media/dtmf/dual-tone.ts';
import { callerSpeech } from './refusal-speech.ts';
import { quantile, round } from './sip.ts';

const packetSamples = 160;
const keysPerCase = 400;

/** Every corner of what must be heard (ITU-T Q.24, table A-1), each clean and in noise. */
const cases: DualTone[] = [0, 0.015, -0.015].flatMap((offset) =>
  [
    { lowDbm0: -10, highDbm0: -10 },
    { lowDbm0: -24.9, highDbm0: -24.9 },
    { lowDbm0: -14, highDbm0: -10 },
    { lowDbm0: -10, highDbm0: -18 },
  ].flatMap((levels) =>
    [undefined, 20, 15].map((snrDb) => ({
      ...levels,
      onMs: 40,
      offMs: 40,
      offset,
      ...(snrDb === undefined ? {} : { snrDb }),
    })),
  ),
);

export interface DtmfFigures {
  missRate: number;
  digits: number;
  talkOffsPerHour: number;
  speechHours: number;
  latencyP95Ms: number;
  cpuMsPerSecondOfAudio: number;
}

/** @param hours of speech to talk at the detector */
export async function measureDtmf(hours: number, say: (line: string) => void): Promise<DtmfFigures> {
  const random = randomFrom(7);
  const latencies: number[] = [];
  let [sent, missed] = [0, 0];
  for (const tone of cases) {
    for (let key = 0; key < keysPerCase; key += 1) {
      const digit = digits[key % digits.length]!;
      const samples = dialled([digit], tone, random);
      const { heard, endedAt } = listen(samples);
      sent += 1;
      if (heard.length !== 1 || heard[0] !== digit) missed += 1;
      else latencies.push((endedAt[0]! - samples.findIndex((sample) => Math.abs(sample) > 400)) / 8);
    }
  }
  say(`${sent} keys, ${missed} missed`);

  let [seconds, talkOffs] = [0, 0];
  let listeningMs = 0;
  for await (const { samples, voice } of callerSpeech(hours * 3_600, randomFrom(11))) {
    const from = performance.now();
    const { heard } = listen(samples);
    listeningMs += performance.now() - from;
    seconds += samples.length / 8_000;
    talkOffs += heard.length;
    if (heard.length > 0) say(`taken for ${heard.join('')}: ${voice.engine} ${voice.name}`);
  }
  say(`${round(seconds / 3_600)} hours of speech, ${talkOffs} taken for keys`);
  return {
    missRate: Math.round((missed / sent) * 10_000) / 10_000,
    digits: sent,
    talkOffsPerHour: round(talkOffs / (seconds / 3_600)),
    speechHours: round(seconds / 3_600),
    latencyP95Ms: quantile(
      latencies.sort((a, b) => a - b),
      0.95,
    ),
    cpuMsPerSecondOfAudio: round(listeningMs / seconds),
  };
}

/** Through A-law, in packets of 20 ms; `endedAt` is where the packet ends in which a key was heard. */
function listen(samples: Int16Array): { heard: string[]; endedAt: number[] } {
  const receiver = new InBandReceiver();
  const bytes = encodePcma(samples);
  const [heard, endedAt]: [string[], number[]] = [[], []];
  for (let at = 0; at < bytes.length; at += packetSamples) {
    const length = Math.min(packetSamples, bytes.length - at);
    const key = receiver.receive('PCMA', bytes, at, length, at);
    if (key === undefined) continue;
    heard.push(key);
    endedAt.push(at + length);
  }
  return { heard, endedAt };
}
