/** The recording of a call: allowed by the ledger, taken by the sink, forked by the media plane, in this order. */
import { randomUUID } from 'node:crypto';
import type { EpochMicros, RecordingId, Side } from '../../config/units.ts';
import { messageOf } from '../../config/errors.ts';
import type { DestroyReason, RecordingEnd, RecordingSink, RecordingStream } from '../../media/fork/sink.ts';
import type { ForkTotals, GapKind, MediaFork, MediaSession } from '../../media/plane.ts';
import type { Campaign } from '../../config/schema.ts';
import type { CallId } from '../../config/units.ts';
import type { Constraint } from '../law/constraint.ts';
import type { Ledger } from '../ledger/ledger.ts';

export interface RecordingGrounds {
  call: CallId;
  campaign: Campaign;
  constraint: Constraint;
  retainUntil: string;
  parties: Record<Side, string>;
}

export interface RecordingMeans {
  ledger: Ledger;
  sink: RecordingSink;
  now: () => EpochMicros;
}

/**
 * Why nothing is captured for a while: somebody is on hold, somebody asked for it, or a party has joined who has not been told
 * yet. Several can hold at once; capture goes on when none does (I1, I8).
 */
export type Silence = 'hold' | 'paused' | 'payment' | 'untold';

const gapOf: Record<Silence, GapKind> = {
  hold: 'hold',
  paused: 'paused',
  payment: 'masked',
  untold: 'paused',
};

/** A recording in progress, until `finish` or `destroy`. Leaving the scope without either ends it as interrupted. */
export class Recording implements AsyncDisposable {
  readonly id: RecordingId;
  readonly #means: RecordingMeans;
  readonly #call: CallId;
  readonly #stream: RecordingStream;
  readonly #fork: MediaFork;
  readonly #sides: Side[] = ['caller', 'agent'];
  readonly #silences = new Set<Silence>();
  /** The gap that is open: since when, and what it is declared as. */
  #silent: { from: EpochMicros; kind: GapKind } | undefined;
  #turn: Promise<void> = Promise.resolve();
  #stopped: Promise<ForkTotals> | undefined;
  #fate: 'kept' | 'destroyed' | undefined;

  private constructor(means: RecordingMeans, call: CallId, stream: RecordingStream, fork: MediaFork) {
    this.id = stream.recording;
    this.#means = means;
    this.#call = call;
    this.#stream = stream;
    this.#fork = fork;
  }

  /**
   * Starts a recording from the next packet on. The entry that allows it is durable before the fork opens (I6).
   *
   * @throws RecordingRefused, LedgerUnavailable: nothing was copied, the call goes on unrecorded (I4)
   */
  static async start(
    media: MediaSession,
    grounds: RecordingGrounds,
    means: RecordingMeans,
  ): Promise<Recording> {
    const recording = randomUUID() as RecordingId;
    const { call, campaign, constraint, retainUntil, parties } = grounds;
    const reasons = {
      call,
      recording,
      campaign: campaign.name,
      purpose: campaign.purpose,
      class: campaign.class,
      legalBasis: campaign.legalBasis,
      controller: campaign.controller,
      law: constraint.packs,
      retainUntil,
      ...(constraint.afterSignatureMonths === undefined
        ? {}
        : { afterSignatureMonths: constraint.afterSignatureMonths }),
    };
    const allowed = await means.ledger.append({ kind: 'recording.allowed', ...reasons });
    let stream: RecordingStream | undefined;
    try {
      stream = await means.sink.open({
        ...reasons,
        allowedBy: allowed.hash,
        startedAt: means.now(),
        codecs: { caller: media.caller.codecs, agent: media.agent.codecs },
        parties,
      });
      const opened = stream;
      const fork = await media.fork((batch) => opened.write(batch));
      return new Recording(means, call, stream, fork);
    } catch (error) {
      await means.ledger.append({ kind: 'recording.failed', call, recording, reason: messageOf(error) });
      await stream?.destroy('not-told');
      throw error;
    }
  }

  /** Aborted when the sink cannot go on with it. */
  get failed(): AbortSignal {
    return this.#stream.failed;
  }

  /** Capture follows the conversation: it stops while either party holds the other (I8), and the gap is declared. */
  async follow(media: MediaSession): Promise<void> {
    const talking = media.caller.remoteDirection === 'sendrecv' && media.agent.remoteDirection === 'sendrecv';
    await (talking ? this.sound('hold') : this.silence('hold'));
  }

  /**
   * Captures nothing from now on, for this reason. Resolves when the media plane has confirmed it (I-13).
   *
   * @throws when it cannot confirm it: the recording must then be stopped
   */
  async silence(why: Silence): Promise<void> {
    await this.#inTurn(async () => {
      this.#silences.add(why);
      const now = await this.#fork.pause();
      const kind = gapOf[this.#silences.values().next().value ?? why];
      if (this.#silent?.kind === kind) return;
      this.#declare(now);
      this.#silent = { from: now, kind };
    });
  }

  /** This reason for silence is over; capture goes on when it was the last. */
  async sound(why: Silence): Promise<void> {
    await this.#inTurn(async () => {
      if (!this.#silences.delete(why)) return;
      const [next] = this.#silences;
      if (next !== undefined && gapOf[next] === this.#silent?.kind) return;
      const at = await (next === undefined ? this.#fork.resume() : this.#fork.pause());
      this.#declare(at);
      if (next !== undefined) this.#silent = { from: at, kind: gapOf[next] };
    });
  }

  get silent(): boolean {
    return this.#silences.size > 0;
  }

  get paused(): boolean {
    return this.#silences.has('paused') || this.#silences.has('payment');
  }

  /** One change after the other; none after the stop. */
  async #inTurn(change: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(async () => {
      if (this.#stopped === undefined) await change();
    });
    this.#turn = turn.catch(() => undefined);
    await turn;
  }

  /** Copies nothing more. Keys heard before are told before this resolves: a refusal in the last instant still counts. */
  async stop(): Promise<ForkTotals> {
    this.#stopped ??= this.#turn.then(() => this.#fork.stop());
    return this.#stopped;
  }

  /** Ends the recording and keeps it. */
  async finish(reason: RecordingEnd['reason']): Promise<void> {
    if (this.#fate !== undefined) return;
    this.#fate = 'kept';
    const totals = await this.stop();
    this.#declare(totals.stoppedAt);
    await this.#stream.close({ reason, totals });
    const { packets } = totals;
    await this.#means.ledger.append({
      kind: 'recording.closed',
      call: this.#call,
      recording: this.id,
      reason,
      packets,
    });
  }

  /** Destroys what was kept, everywhere, with evidence (I2); also what `finish` kept before. */
  async destroy(reason: DestroyReason): Promise<void> {
    if (this.#fate === 'destroyed') return;
    this.#fate = 'destroyed';
    await this.stop();
    const receipt = await this.#stream.destroy(reason);
    await this.#means.ledger.append({
      kind: 'recording.destroyed',
      call: this.#call,
      recording: this.id,
      reason,
      proof: receipt === 'pending' ? undefined : receipt.proof,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.finish('interrupted');
  }

  /** Closes the gap that is open, for both sides. */
  #declare(to: EpochMicros): void {
    const silent = this.#silent;
    this.#silent = undefined;
    if (silent === undefined) return;
    for (const side of this.#sides) this.#stream.gap({ side, from: silent.from, to, kind: silent.kind });
  }
}
