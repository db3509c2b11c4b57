/** Whether audio can be told to a caller: long enough to say something, short enough to be heard out, neither silent nor broken. */

/** What there is to say about samples of 8 kHz. Levels are dB below full scale. */
export interface Examined {
  durationMs: number;
  /** Mean level where something is heard; undefined where nothing is. */
  levelDb: number | undefined;
  /** Silence before the first sound, after the last, and the longest between. */
  leadMs: number;
  tailMs: number;
  pauseMs: number;
  /** Flat tops: what was cut off by a recording too loud. */
  clips: number;
}

const samplesPerMs = 8;
/** 20 ms. */
const pieceSamples = 160;
const pieceMs = pieceSamples / samplesPerMs;
/** Mean square of a piece in which something is heard: -45 dB. */
const heardPower = 10 ** (-45 / 10);
/** So many samples in a row at the top of the scale are no peak. */
const flatSamples = 4;
const topOfScale = 32_700;

export function examine(samples: Int16Array): Examined {
  const powers = Array.from({ length: Math.ceil(samples.length / pieceSamples) }, (_, at) =>
    powerOf(samples.subarray(at * pieceSamples, (at + 1) * pieceSamples)),
  );
  const heard = powers.flatMap((power, at) => (power > heardPower ? [at] : []));
  const [first, last] = [heard[0], heard.at(-1)];
  const mean = heard.reduce((sum, at) => sum + powers[at]!, 0) / heard.length;
  const pauses = heard.map((at, index) => at - (heard[index - 1] ?? at) - 1);
  return {
    durationMs: Math.round(samples.length / samplesPerMs),
    levelDb: heard.length === 0 ? undefined : Math.round(100 * Math.log10(mean)) / 10,
    leadMs: (first ?? 0) * pieceMs,
    tailMs: last === undefined ? 0 : (powers.length - 1 - last) * pieceMs,
    pauseMs: Math.max(0, ...pauses) * pieceMs,
    clips: clipsIn(samples),
  };
}

/** First-level information must be short enough to be heard out (law.md section 6). */
const longestMs = 8_000;
/** Nothing that tells anybody anything is shorter. */
const shortestMs = 300;
const [quietestDb, loudestDb] = [-36, -8];
const longestEdgeMs = 1_000;
const longestPauseMs = 2_000;
const mostClips = 2;

/** Why nobody may be told by this audio, each reason with what is asked for; none where there is nothing to say against it. */
export function faultsOf(audio: Examined): string[] {
  const { durationMs, levelDb, leadMs, tailMs, pauseMs, clips } = audio;
  if (durationMs === 0) return ['is empty'];
  if (levelDb === undefined) return ['is silent'];
  const faults: [boolean, string][] = [
    [durationMs > longestMs, `lasts ${durationMs} ms; ${longestMs} at most`],
    [durationMs < shortestMs, `lasts ${durationMs} ms; ${shortestMs} at least`],
    [levelDb < quietestDb, `is too quiet: ${levelDb} dBFS; ${quietestDb} at least`],
    [levelDb > loudestDb, `is too loud: ${levelDb} dBFS; ${loudestDb} at most`],
    [clips > mostClips, `is clipped in ${clips} places: record it again, quieter`],
    [leadMs > longestEdgeMs, `begins with ${leadMs} ms of silence; ${longestEdgeMs} at most`],
    [tailMs > longestEdgeMs, `ends with ${tailMs} ms of silence; ${longestEdgeMs} at most`],
    [pauseMs > longestPauseMs, `pauses for ${pauseMs} ms; ${longestPauseMs} at most`],
  ];
  return faults.filter(([found]) => found).map(([, fault]) => fault);
}

function powerOf(samples: Int16Array): number {
  return samples.reduce((sum, sample) => sum + (sample / 32_768) ** 2, 0) / samples.length;
}

function clipsIn(samples: Int16Array): number {
  let clips = 0;
  let flat = 0;
  for (const sample of samples) {
    flat = Math.abs(sample) >= topOfScale ? flat + 1 : 0;
    if (flat === flatSamples) clips += 1;
  }
  return clips;
}
