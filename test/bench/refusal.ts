/** How well a refusal is heard, by each means that has to tell it from everything else on a telephone line. */
import { measureDtmf } from './refusal-dtmf.ts';
import { measureAnySpeech } from './refusal-voice.ts';

/** An hour takes some 40 s to make, and one talk-off in three would be too many. */
const hoursOfSpeech = 3;

export async function run(say: (line: string) => void): Promise<Record<string, unknown>> {
  const { cpuMsPerSecondSilent, cpuMsPerSecondSpoken, ...anySpeech } = await measureAnySpeech(say);
  const { cpuMsPerSecondOfAudio, ...dtmf } = await measureDtmf(hoursOfSpeech, say);
  return {
    voice: { anySpeech, keywords: null },
    dtmf,
    cpuMsPerSecondOfAudio: {
      silent: cpuMsPerSecondSilent,
      spoken: cpuMsPerSecondSpoken,
      dtmf: cpuMsPerSecondOfAudio,
    },
  };
}
