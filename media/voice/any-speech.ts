/**
 * Whether somebody speaks, in whatever language: a refusal where silence lets a recording begin. A cheap gate by level keeps the
 * detector off a silent line; the prompt's own echo is told from a voice by its likeness to what is being played.
 */
import type { EpochMicros } from '../../config/units.ts';
import type { SpeechModel } from './model.ts';
import { pieceSamples, SpeechDetector } from './speech-detector.ts';

/** Somebody spoke: how sure the detector was (0 to 1), and when it was. */
export interface HeardSpeech {
  score: number;
  at: EpochMicros;
}

/** A piece in which it is likelier than not that somebody speaks (Silero's own threshold). */
const speechAbove = 0.5;
/** So many pieces in a row, 96 ms, are an utterance: "non" holds six, a bump of the handset two. */
const wantedPieces = 3;
/** Mean square below which nobody speaks (-52 dB of full scale), and what lifts a piece out of the noise before it. */
const leastPower = 10 ** (-52 / 10);
const outOfNoise = 2.5;
/** The noise's level may rise by so much a piece, 13 dB a second: a word is over before it becomes noise. */
const noiseRise = 1.1;
/** Pieces before the gate opened that the detector hears too, and for how many it stays open. */
const runUp = 4;
const hangover = 10;

/** How much of what was heard is laid on what was played, and how late an echo may be: 256 ms and 800 ms at 8 kHz. */
const echoSamples = 2_048;
const latestEcho = 6_400;
/** Of a copy that is late, through A-law and in noise. Two voices are now and then as like, but hardly so far apart in level. */
const echoLikeness = 0.35;
/** An echo is 12 dB below what was played at least; louder, it is taken for a voice, and nothing is recorded. */
const loudestEcho = 0.25;
/** A voice over a known echo: 6 dB above it and the noise. */
const louderThanEcho = 4;

export class AnySpeech {
  readonly #detector: SpeechDetector;
  readonly #piece = new Float32Array(pieceSamples);
  #filled = 0;
  #noise = leastPower;
  /** Pieces of before the gate opened. */
  readonly #before: Float32Array[] = [];
  #open = 0;
  #spoken = 0;
  #score = 0;
  readonly #heard = new Float32Array(echoSamples);
  #prompt: Float32Array | undefined;
  /** How many samples late the echo comes, and how loud, once it was found. */
  #echo: { late: number; gain: number } | undefined;
  /** Samples heard since the prompt began. */
  #sinceStart = 0;

  constructor(model: SpeechModel) {
    this.#detector = new SpeechDetector(model);
  }

  /** A prompt begins to be played to the one who is heard, or to be played anew. */
  plays(prompt: Float32Array): void {
    // With silence around it, so that what was heard may lie over either end.
    this.#prompt = new Float32Array(prompt.length + 2 * echoSamples);
    this.#prompt.set(prompt, echoSamples);
    this.#sinceStart = 0;
  }

  /** @param samples the next of the stream, 8 kHz, between -1 and 1. @returns what was said, at the piece that makes it certain */
  hear(samples: Float32Array, at: EpochMicros): HeardSpeech | undefined {
    let heard: HeardSpeech | undefined;
    for (const sample of samples) {
      this.#piece[this.#filled] = sample;
      this.#filled += 1;
      if (this.#filled < pieceSamples) continue;
      this.#filled = 0;
      this.#sinceStart += pieceSamples;
      const score = this.#take();
      if (score !== undefined) heard ??= { score, at };
    }
    return heard;
  }

  #take(): number | undefined {
    const piece = this.#piece;
    this.#heard.copyWithin(0, pieceSamples);
    this.#heard.set(piece, echoSamples - pieceSamples);
    let power = 0;
    for (const sample of piece) power += sample * sample;
    power /= pieceSamples;
    const loud = power > leastPower && power > outOfNoise * this.#noise;
    this.#noise = Math.max(leastPower / 10, Math.min(this.#noise * noiseRise, power));
    if (!loud && this.#open === 0) {
      this.#before.push(piece.slice());
      if (this.#before.length > runUp) this.#before.shift();
      return undefined;
    }
    if (this.#open === 0) {
      this.#detector.reset();
      for (const earlier of this.#before.splice(0)) this.#detector.probability(earlier);
    }
    this.#open = loud ? hangover : this.#open - 1;
    return this.#judge(this.#detector.probability(piece));
  }

  #judge(probability: number): number | undefined {
    if (probability < speechAbove) {
      this.#spoken = 0;
      this.#score = 0;
      return undefined;
    }
    this.#spoken += 1;
    this.#score = Math.max(this.#score, probability);
    // An echo is looked for once an utterance: it costs as much as a hundred pieces.
    if (this.#spoken % wantedPieces !== 0 || this.#isEcho()) return undefined;
    return this.#score;
  }

  /**
   * Whether what was just heard is what was played a moment ago: a copy of it, or no louder than the copy that was found before, on a
   * way back that does not change.
   */
  #isEcho(): boolean {
    const prompt = this.#prompt;
    if (prompt === undefined || this.#sinceStart - latestEcho > prompt.length) return false;
    const heard = power(this.#heard, 0);
    const echo = this.#echo;
    if (echo !== undefined) {
      const from = this.#sinceStart - echo.late;
      const back = from + echoSamples > prompt.length ? 0 : echo.gain ** 2 * power(prompt, from);
      if (heard < louderThanEcho * (back + (this.#noise * echoSamples) / everySample)) return true;
    }
    for (let late = 0; late <= latestEcho; late += 1) {
      const from = this.#sinceStart - late;
      if (from < 0 || from + echoSamples > prompt.length) continue;
      let product = 0;
      for (let at = 0; at < echoSamples; at += everySample) product += this.#heard[at]! * prompt[from + at]!;
      const played = power(prompt, from);
      if (
        product <= 0 ||
        product >= loudestEcho * played ||
        product ** 2 < echoLikeness ** 2 * heard * played
      )
        continue;
      this.#echo = { late, gain: product / played };
      return true;
    }
    return false;
  }
}

/** Of so many samples one is looked at: a copy shows as well, for a third of the cost. */
const everySample = 3;

function power(samples: Float32Array, from: number): number {
  let sum = 0;
  for (let at = 0; at < echoSamples; at += everySample) sum += samples[from + at]! ** 2;
  return sum;
}
