/** The recording of a call: allowed by the ledger, taken by the sink, forked by the media plane, in this order. */
import { randomUUID } from 'node:crypto';
import type { EpochMicros, RecordingId, Side } from '../../config/units.ts';
import { messageOf } from '../../config/errors.ts';
import type { DestroyReason, RecordingEnd, RecordingSink, RecordingStream } from '../../media/fork/sink.ts';
import type { ForkTotals, MediaFork, MediaSession } from '../../media/plane.ts';
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

/** A recording in progress, until `finish` or `destroy`. Leaving the scope without either ends it as interrupted. */
export class Recording implements AsyncDisposable {
  readonly id: RecordingId;
  readonly #means: RecordingMeans;
  readonly #call: CallId;
  readonly #stream: RecordingStream;
  readonly #fork: MediaFork;
  readonly #sides: Side[] = ['caller', 'agent'];
  #heldSince: EpochMicros | undefined;
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
    this.#turn = this.#turn.then(async () => {
      if (this.#stopped !== undefined) return;
      if (!talking && this.#heldSince === undefined) this.#heldSince = await this.#fork.pause();
      else if (talking && this.#heldSince !== undefined) this.#declareHold(await this.#fork.resume());
    });
    await this.#turn;
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
    if (this.#heldSince !== undefined) this.#declareHold(totals.stoppedAt);
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

  #declareHold(to: EpochMicros): void {
    const from = this.#heldSince;
    this.#heldSince = undefined;
    if (from === undefined) return;
    for (const side of this.#sides) this.#stream.gap({ side, from, to, kind: 'hold' });
  }
}
