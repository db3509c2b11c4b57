/** What becomes of a call's recording: started if it may be, silenced, ended, destroyed, and always with its trace. */
import { messageOf } from '../../config/errors.ts';
import { RecordingRefused, type DestroyReason, type RecordingEnd } from '../../media/fork/sink.ts';
import type { MediaSession } from '../../media/plane.ts';
import { retainUntil } from '../law/retention.ts';
import type { RefusalWatch } from './announcement.ts';
import { Recording, type Silence } from './recording.ts';
import type { CallState } from './registry.ts';
import type { SelectedCall } from './selected.ts';
import { writeRefusal } from './telling.ts';

const never = new AbortController().signal;

export class Tape implements AsyncDisposable {
  readonly #call: SelectedCall;
  #running: Recording | undefined;
  #kept: Recording[] = [];
  /** Why the call is not recorded, or no longer. */
  detail: string | undefined;

  constructor(call: SelectedCall) {
    this.#call = call;
  }

  get running(): boolean {
    return this.#running !== undefined;
  }

  /** Whether something is kept of the call so far, or will be when it ends. */
  get keeps(): boolean {
    return this.running || this.#kept.length > 0;
  }

  /** As a supervisor would say it. */
  get state(): CallState {
    if (!this.running) return 'unrecorded';
    return this.paused ? 'paused' : 'recording';
  }

  get paused(): boolean {
    return this.#running?.paused === true;
  }

  /** Aborted when the sink cannot go on with the recording that runs. */
  get failed(): AbortSignal {
    return this.#running?.failed ?? never;
  }

  /** Starts a recording; when nothing takes it, the call goes on unrecorded and `detail` says why (I4). */
  async start(): Promise<void> {
    const { invite, rule, media, house, listed } = this.#call;
    const { campaign, constraint } = rule;
    try {
      const recording = await Recording.start(
        media,
        {
          call: invite.call,
          campaign,
          constraint,
          retainUntil: retainUntil(new Date(), constraint),
          parties: { caller: listed.partyOn('caller') ?? '', agent: listed.partyOn('agent') ?? '' },
        },
        house,
      );
      house.metrics.recordingStarted();
      this.#running = recording;
      await recording.follow(media);
    } catch (error) {
      this.detail = error instanceof RecordingRefused ? error.reason : messageOf(error);
      house.metrics.recordingFailed(error instanceof RecordingRefused ? 'store' : 'ledger');
      house.log.error({ call: invite.call, err: error }, 'not recorded');
    }
  }

  /** Captures nothing while there is this reason. A silence that the media plane does not confirm ends the recording (I-13). */
  async silence(why: Silence): Promise<boolean> {
    return await this.#orEnd((recording) => recording.silence(why));
  }

  async sound(why: Silence): Promise<boolean> {
    return await this.#orEnd((recording) => recording.sound(why));
  }

  async follow(media: MediaSession): Promise<void> {
    await this.#orEnd((recording) => recording.follow(media));
  }

  /** Copies nothing more; a refusal in the last instant has been heard when this resolves. */
  async stop(): Promise<void> {
    await this.#running?.stop();
  }

  /** Ends the recording that runs and keeps it. A reason other than the call's own end or an order is a failure. */
  async end(reason: RecordingEnd['reason'], why?: string): Promise<void> {
    const recording = this.#running;
    if (recording === undefined) return;
    this.#running = undefined;
    this.#kept.push(recording);
    await this.#traced(recording.finish(reason));
    const { invite, house } = this.#call;
    if (why === undefined) house.metrics.recordingKept();
    else house.metrics.recordingFailed(why);
    this.detail = why ?? (reason === 'hangup' || reason === 'transfer' ? undefined : reason);
    house.log.info({ call: invite.call, recording: recording.id, reason, why }, 'recording closed');
  }

  /** The protected party said no (I2). */
  async refuse(watch: RefusalWatch): Promise<void> {
    await this.destroy('refused');
    await writeRefusal(this.#call, watch);
  }

  /** Everything kept of this call is destroyed, everywhere, and the reason is why the call is not recorded. */
  async destroy(reason: DestroyReason): Promise<void> {
    await this.stop();
    const all = [...this.#kept, ...(this.#running === undefined ? [] : [this.#running])];
    this.#kept = [];
    this.#running = undefined;
    for (const recording of all) await this.#traced(recording.destroy(reason));
    this.detail = reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('interrupted', 'interrupted');
  }

  /** An end that the ledger cannot take is an end all the same: the call goes on (I4), and verify will find it. */
  async #traced(end: Promise<void>): Promise<void> {
    try {
      await end;
    } catch (error) {
      const { invite, house } = this.#call;
      house.log.error({ call: invite.call, err: error }, 'the end of a recording is not in the ledger');
    }
  }

  async #orEnd(change: (recording: Recording) => Promise<void>): Promise<boolean> {
    const recording = this.#running;
    if (recording === undefined) return false;
    try {
      await change(recording);
      return true;
    } catch (error) {
      const { invite, house } = this.#call;
      house.log.error({ call: invite.call, err: error }, 'the media plane did not confirm; recording ended');
      await this.end('interrupted', 'unconfirmed');
      return false;
    }
  }
}
