/** What a caller hears of the network itself: a country's tone plan (ITU-T E.180 supplement 2). */
import { encodeAll, type Encoded } from './encoded.ts';

export type TonePlan = 'FR' | 'UK' | 'US' | 'DE' | 'ES';

export interface Tone {
  plan: TonePlan;
  /** `notice`: somebody who waits for a moment is told that all is well. */
  kind: 'ringing' | 'busy' | 'congestion' | 'notice';
}

interface Cadence {
  hertz: readonly number[];
  /** On, off, on, off ... in milliseconds. */
  onOffMs: readonly number[];
}

/** Not the network's: the same in every country. */
const notice: Cadence = { hertz: [1_400], onOffMs: [200, 4_800] };

const cadences: Record<TonePlan, Record<Exclude<Tone['kind'], 'notice'>, Cadence>> = {
  FR: {
    ringing: { hertz: [440], onOffMs: [1_500, 3_500] },
    busy: { hertz: [440], onOffMs: [500, 500] },
    congestion: { hertz: [440], onOffMs: [260, 260] },
  },
  UK: {
    ringing: { hertz: [400, 450], onOffMs: [400, 200, 400, 2_000] },
    busy: { hertz: [400], onOffMs: [380, 380] },
    congestion: { hertz: [400], onOffMs: [400, 360, 220, 520] },
  },
  US: {
    ringing: { hertz: [440, 480], onOffMs: [2_000, 4_000] },
    busy: { hertz: [480, 620], onOffMs: [500, 500] },
    congestion: { hertz: [480, 620], onOffMs: [260, 260] },
  },
  DE: {
    ringing: { hertz: [425], onOffMs: [1_000, 4_000] },
    busy: { hertz: [425], onOffMs: [480, 480] },
    congestion: { hertz: [425], onOffMs: [240, 240] },
  },
  ES: {
    ringing: { hertz: [425], onOffMs: [1_500, 3_000] },
    busy: { hertz: [425], onOffMs: [200, 200] },
    congestion: { hertz: [425], onOffMs: [200, 200, 200, 600] },
  },
};

const samplesPerMs = 8;
/** About -18 dBFS for one frequency, shared between two. */
const amplitude = 4_100;

const rendered = new Map<string, Encoded>();

/** One period of a tone's cadence in each codec, for endless repetition; rendered once a process. */
export function renderTone({ plan, kind }: Tone): Encoded {
  const key = `${plan} ${kind}`;
  const known = rendered.get(key);
  if (known !== undefined) return known;
  const samples = synthesise(kind === 'notice' ? notice : cadences[plan][kind]);
  const tone = encodeAll(samples);
  rendered.set(key, tone);
  return tone;
}

/** Renders a country's tones before the first call asks for one: Opus takes its time. */
export function prepareTones(plan: TonePlan): void {
  for (const kind of ['ringing', 'busy', 'congestion', 'notice'] as const) renderTone({ plan, kind });
}

function synthesise({ hertz, onOffMs }: Cadence): Int16Array {
  const samples = new Int16Array(onOffMs.reduce((sum, ms) => sum + ms, 0) * samplesPerMs);
  let at = 0;
  for (const [index, ms] of onOffMs.entries()) {
    const end = at + ms * samplesPerMs;
    if (index % 2 === 0) {
      for (let sample = at; sample < end; sample++) {
        const seconds = sample / (samplesPerMs * 1_000);
        const wave = hertz.reduce((sum, each) => sum + Math.sin(2 * Math.PI * each * seconds), 0);
        samples[sample] = Math.round((amplitude * wave) / hertz.length);
      }
    }
    at = end;
  }
  return samples;
}
