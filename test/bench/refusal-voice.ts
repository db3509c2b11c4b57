/** How well a voice is told from everything else on a telephone line: misses, false alarms, latency, cost. */
import { randomFrom } from '../../agent/cli/demo/plan.ts';
import type { EpochMicros } from '../../config/units.ts';
import { decodePcma, encodePcma } from '../../media/codec/g711.ts';
import { loadPrompt } from '../../media/prompts/load.ts';
import { AnySpeech } from '../../media/voice/any-speech.ts';
import { loadSpeechModel, type SpeechModel } from '../../media/voice/model.ts';
import { speak, type Language, type Voice } from './speech.ts';
import { amplitudeOf, dialled } from '../media/dtmf/dual-tone.ts';
import { quantile, round } from './sip.ts';

const refusals: Record<Language, readonly string[]> = {
  fr: ['Non', 'Non merci', 'Je refuse', 'Non, je ne veux pas être enregistré', 'Refus'],
  en: ['No', 'No thank you', 'I refuse', 'I do not want to be recorded', 'Stop recording'],
  es: ['No', 'No gracias', 'No quiero', 'No grabar', 'Me niego'],
  ar: ['لا', 'لا شكرا', 'أرفض', 'لا أريد التسجيل'],
};

const voices: readonly Voice[] = [
  ...(['fr', 'en-gb', 'es', 'ar'] as const).flatMap((name) =>
    ['', '+m5', '+f3'].flatMap((variant) =>
      [0.9, 1.2].map((pace): Voice => ({
        engine: 'espeak-ng',
        language: name.slice(0, 2) as Language,
        name: `${name}${variant}`,
        pace,
        pitch: pace > 1 ? 65 : 40,
      })),
    ),
  ),
  ...['slt', 'rms', 'awb', 'kal16'].map((name): Voice => ({ engine: 'flite', language: 'en', name })),
];

/** A prompt and the time after it. */
const windowMs = 8_000;
const rate = 8_000;

export interface VoiceFigures {
  missRate: number;
  utterances: number;
  falseRate: number;
  windows: number;
  /** Reported apart: what cannot be told from a caller. */
  babbleRate: number;
  musicRate: number;
  loudEchoRate: number;
  latencyP95Ms: number;
  cpuMsPerSecondSilent: number;
  cpuMsPerSecondSpoken: number;
}

export async function measureAnySpeech(say: (line: string) => void): Promise<VoiceFigures> {
  const model = await loadSpeechModel();
  const random = randomFrom(3);
  const misses: string[] = [];
  const latencies: number[] = [];
  let utterances = 0;
  const cpu = { silent: 0, spoken: 0 };
  const lasted = { silent: 0, spoken: 0 };
  const babble: Int16Array[] = [];
  const prompts = await Promise.all(
    ['fr-object', 'fr-consent'].map(async (name) =>
      decodePcma(new Uint8Array((await loadPrompt(name)).encoded.PCMA.bytes)),
    ),
  );
  for (const voice of voices) {
    for (const text of refusals[voice.language]) {
      const said = trimmed(await speak(text, voice));
      if (babble.length < 12) babble.push(said);
      for (const snrDb of [undefined, 20, 10, 'over the prompt'] as const) {
        const begins = 4_000 + Math.floor(random() * 2_000);
        const samples = new Float64Array(begins + said.length + 4_000);
        samples.set(said, begins);
        const overPrompt = snrDb === 'over the prompt';
        if (overPrompt) echoOf(prompts[utterances % 2]!, samples, 30, 1_000);
        noise(samples, levelOf(said), typeof snrDb === 'number' ? snrDb : 45, random);
        const { at, ms } = hearing(
          model,
          samples,
          overPrompt ? fractions(prompts[utterances % 2]!) : undefined,
        );
        cpu.spoken += ms;
        lasted.spoken += samples.length / rate;
        utterances += 1;
        if (at === undefined || at < begins) misses.push(`${voice.name} "${text}" ${snrDb ?? 'clean'}`);
        else latencies.push(((at - begins) / rate) * 1_000);
      }
    }
  }
  say(`${utterances} refusals, missed: ${misses.join('; ') || 'none'}`);

  const counted: Record<string, { fired: number; windows: number }> = {};
  for (const [name, make] of Object.entries(quietWindows)) {
    const count = (counted[name] = { fired: 0, windows: 40 });
    for (let each = 0; each < count.windows; each += 1) {
      const { at, ms } = hearing(model, make(random));
      if (nobodySpeaks.has(name)) {
        cpu.silent += ms;
        lasted.silent += windowMs / 1_000;
      }
      if (at !== undefined) count.fired += 1;
    }
  }
  for (const downDb of [20, 30, 40]) {
    const count = (counted[`echo -${downDb}`] = { fired: 0, windows: 40 });
    for (let each = 0; each < count.windows; each += 1) {
      const played = prompts[each % prompts.length]!;
      const late = Math.floor((0.02 + random() * 0.5) * rate);
      const samples = new Float64Array(played.length + late);
      echoOf(played, samples, downDb, late);
      noise(samples, amplitudeOf(-55), 0, random);
      if (hearing(model, samples, fractions(played)).at !== undefined) count.fired += 1;
    }
  }
  const apart = { babble: babbleWindow(babble), music: musicWindow };
  const rates: Record<string, number> = {};
  for (const [name, make] of Object.entries(apart)) {
    let fired = 0;
    for (let each = 0; each < 30; each += 1) if (hearing(model, make(random)).at !== undefined) fired += 1;
    rates[name] = round(fired / 30);
  }
  say(
    Object.entries(counted)
      .map(([name, { fired, windows }]) => `${name} ${fired}/${windows}`)
      .join(', '),
  );
  const { 'echo -20': loudEcho, ...within } = counted;
  const [fired, windows] = Object.values(within).reduce(
    ([a, b], each) => [a + each.fired, b + each.windows],
    [0, 0],
  );
  return {
    missRate: round4(misses.length / utterances),
    utterances,
    falseRate: round4(fired / windows),
    windows,
    babbleRate: rates['babble']!,
    musicRate: rates['music']!,
    loudEchoRate: round(loudEcho!.fired / loudEcho!.windows),
    latencyP95Ms: quantile(
      latencies.sort((a, b) => a - b),
      0.95,
    ),
    cpuMsPerSecondSilent: round(cpu.silent / lasted.silent),
    cpuMsPerSecondSpoken: round(cpu.spoken / lasted.spoken),
  };
}

/** Adds what comes back of a prompt: so much quieter, so many samples late. */
function echoOf(played: Int16Array, samples: Float64Array, downDb: number, late: number): void {
  const end = Math.min(samples.length, late + played.length);
  for (let at = late; at < end; at += 1) samples[at]! += played[at - late]! * 10 ** (-downDb / 20);
}

const round4 = (value: number): number => Math.round(value * 10_000) / 10_000;

/** Through A-law, in packets of 20 ms; where, in samples, the packet ends in which a voice was heard. */
function hearing(
  model: SpeechModel,
  samples: Float64Array,
  played?: Float32Array,
): { at: number | undefined; ms: number } {
  const speech = new AnySpeech(model);
  if (played !== undefined) speech.plays(played);
  const linear = decodePcma(
    encodePcma(Int16Array.from(samples, (sample) => Math.max(-32_768, Math.min(32_767, sample)))),
  );
  const heard = fractions(linear);
  const from = process.cpuUsage();
  let at: number | undefined;
  for (let end = 160; end <= heard.length; end += 160) {
    if (speech.hear(heard.subarray(end - 160, end), 0 as EpochMicros) !== undefined) at ??= end;
  }
  const { user, system } = process.cpuUsage(from);
  return { at, ms: (user + system) / 1_000 };
}

function fractions(samples: Int16Array): Float32Array {
  return Float32Array.from(samples, (sample) => sample / 32_768);
}

/** Without the silence that a synthesiser puts around what it says: latency counts from the first sound. */
function trimmed(samples: Int16Array): Int16Array {
  const first = samples.findIndex((sample) => Math.abs(sample) > 300);
  const last = samples.findLastIndex((sample) => Math.abs(sample) > 300);
  return samples.slice(Math.max(0, first), last + 1);
}

function levelOf(samples: Int16Array): number {
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
}

/** White noise so far below a level (root mean square), in place. */
function noise(samples: Float64Array, level: number, belowDb: number, random: () => number): void {
  const deviation = level / 10 ** (belowDb / 20);
  for (let at = 0; at < samples.length; at += 1)
    samples[at]! += deviation * (random() + random() + random() + random() - 2) * Math.sqrt(3);
}

/** A line on which there is nothing: what most of a call's listening is. */
const nobodySpeaks = new Set(['silence', 'line noise -50', 'line noise -38']);

type Window = (random: () => number) => Float64Array;
const empty = (): Float64Array => new Float64Array((windowMs / 1_000) * rate);
const dbfs = (db: number): number => 32_768 * 10 ** (db / 20);

/** Pink-like noise: white through three slow followers. */
function coloured(level: number, random: () => number): Float64Array {
  const samples = empty();
  let [slow, slower, slowest] = [0, 0, 0];
  for (let at = 0; at < samples.length; at += 1) {
    const white = random() * 2 - 1;
    slow += 0.3 * (white - slow);
    slower += 0.05 * (white - slower);
    slowest += 0.008 * (white - slowest);
    samples[at] = white * 0.2 + slow + 2 * slower + 4 * slowest;
  }
  const scale =
    dbfs(level) / Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  return samples.map((sample) => sample * scale);
}

const quietWindows: Record<string, Window> = {
  silence: empty,
  'line noise -50': (random) => coloured(-50, random),
  'line noise -38': (random) => coloured(-38, random),
  keys: (random) =>
    Float64Array.from(
      dialled(['1', '5', '9', '#'], { onMs: 120, offMs: 200, lowDbm0: -10, highDbm0: -8 }, random),
    ),
  ringing: () =>
    empty().map((_, at) => (at < 12_000 ? dbfs(-16) * Math.sin((2 * Math.PI * 440 * at) / rate) : 0)),
  hum: () =>
    empty().map(
      (_, at) =>
        dbfs(-40) *
        (Math.sin((2 * Math.PI * 50 * at) / rate) + 0.5 * Math.sin((2 * Math.PI * 150 * at) / rate)),
    ),
  breath: (random) => {
    const samples = coloured(-34, random);
    return samples.map((sample, at) => sample * Math.max(0, Math.sin((Math.PI * at) / 9_000)) ** 2);
  },
  bumps: (random) => {
    const samples = empty();
    for (let bump = 0; bump < 3; bump += 1) {
      const begins = Math.floor(random() * (samples.length - 2_000));
      const [pitch, loud] = [60 + random() * 120, dbfs(-10 - random() * 10)];
      for (let at = 0; at < 800; at += 1)
        samples[begins + at]! += loud * Math.exp(-at / 150) * Math.sin((2 * Math.PI * pitch * at) / rate);
    }
    return samples;
  },
};

function babbleWindow(voicesOf: readonly Int16Array[]): Window {
  return (random) => {
    const samples = empty();
    for (const said of voicesOf) {
      const shift = Math.floor(random() * said.length);
      for (let at = 0; at < samples.length; at += 1) samples[at]! += said[(at + shift) % said.length]! * 0.05;
    }
    return samples;
  };
}

const musicWindow: Window = (random) => {
  const chords = [220, 262, 330, 392, 440].map((pitch) => pitch * (1 + Math.floor(random() * 2)));
  return empty().map((_, at) => {
    const pitch = chords[Math.floor(at / 3_000) % chords.length]!;
    let sum = 0;
    for (let overtone = 1; overtone < 6; overtone += 1)
      sum += Math.sin((2 * Math.PI * pitch * overtone * at) / rate) / overtone;
    return dbfs(-24) * sum;
  });
};
