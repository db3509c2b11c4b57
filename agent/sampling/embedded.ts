/**
 * The sampler in this process, journalled to disk.
 *
 * Why the ceiling holds over a crash at any instant: a selection is on stable storage before `reserve` answers with it,
 * so every recording that can exist was counted as open before it began. What a crash may lose is unselected calls (they
 * count nothing until they settle) and settlements not yet confirmed: the call is then still open after the restart, which
 * counts as recorded, and lapses as such. Lost eligible conversations make the allowance smaller, never greater.
 *
 * Unselected calls, most of them, are answered from memory; the others share one sync with all that wait at that moment.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as after } from 'node:timers/promises';
import { messageOf } from '../../config/errors.ts';
import type { CallId } from '../../config/units.ts';
import { GroupCommit } from '../ledger/group-commit.ts';
import { lockDirectory } from '../ledger/writer-lock.ts';
import { dayOf, epochOf, leaseMs as defaultLeaseMs } from './gate.ts';
import { Journal } from './journal.ts';
import { ask, drawn, termsOf, undrawn } from './reservation.ts';
import type {
  AvailabilityListener,
  Reservation,
  SampleCounts,
  SampledCampaign,
  Sampler,
  SettledOutcome,
  UngrantedListener,
  UniformSource,
} from './sampler.ts';
import { Tally, type Step } from './tally.ts';

export interface EmbeddedSamplerOptions {
  /** A folder of its own: journal and lock. */
  directory: string;
  uniform: UniformSource;
  clock?: () => Date;
  /** Budget of one reservation, against a disk that hangs. */
  timeoutMs?: number;
  leaseMs?: number;
  /** The journal is begun anew when its steps have grown beyond this size, and beyond that of its snapshot. */
  compactBytes?: number;
  /** How long a settlement may wait for others, so that they are written together. */
  lingerMs?: number;
  /** Pause before a settlement that could not be written is tried again. */
  retryMs?: number;
  onAvailability?: AvailabilityListener;
  onUngranted?: UngrantedListener;
}

/** How long a settled call is remembered, so that a doubled message changes nothing: all messages are of this process. */
const settledMemoryMs = 5 * 60_000;
/** How long a call is that never settles. */
const longestMs = 24 * 3_600_000;

/** @throws AlreadyRunning, JournalCorrupt */
export async function openEmbeddedSampler(options: EmbeddedSamplerOptions): Promise<Sampler> {
  const { directory, leaseMs = defaultLeaseMs, compactBytes = 1_048_576 } = options;
  const tally = new Tally(leaseMs);
  const journal = await Journal.open(directory, tally, compactBytes);
  try {
    return new EmbeddedSampler(options, tally, journal, lockDirectory(directory));
  } catch (error) {
    await journal[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * A disk that others keep busy takes a tenth of a second now and then. Only a selected call waits for it, which is answered and told
 * before anything else, and whose ledger entry goes to the same disk.
 */
const defaultTimeoutMs = 500;

class EmbeddedSampler implements Sampler {
  readonly #tally: Tally;
  readonly #journal: Journal;
  readonly #lock: Disposable;
  readonly #clock: () => Date;
  readonly #uniform: UniformSource;
  /** Unselected draws leave no trace in the journal: each process numbers its own. */
  readonly #run = randomUUID();
  readonly #timeoutMs: number;
  readonly #retryMs: number;
  readonly #onAvailability: AvailabilityListener | undefined;
  readonly #onUngranted: UngrantedListener | undefined;
  readonly #commits: GroupCommit<Step, undefined>;
  /** Calls whose settlement is not on disk yet. */
  readonly #unwritten = new Set<CallId>();
  readonly #closing = new AbortController();
  #available = true;

  constructor(options: EmbeddedSamplerOptions, tally: Tally, journal: Journal, lock: Disposable) {
    this.#tally = tally;
    this.#journal = journal;
    this.#lock = lock;
    this.#clock = options.clock ?? (() => new Date());
    this.#uniform = options.uniform;
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.#retryMs = options.retryMs ?? 1_000;
    this.#onAvailability = options.onAvailability;
    this.#onUngranted = options.onUngranted;
    this.#commits = new GroupCommit((steps) => this.#commit(steps), options.lingerMs);
  }

  get available(): boolean {
    return this.#available;
  }

  async reserve(campaign: SampledCampaign, call: CallId): Promise<Reservation> {
    const now = this.#clock();
    const terms = termsOf(campaign);
    const asked = ask(campaign, terms, call, now);
    if (campaign.gate === 'closed') return undrawn(asked, 'closed');
    const from = this.#uniform(call, dayOf(now));
    if (from === undefined) {
      this.#onUngranted?.('no-key');
      return undrawn(asked, 'unavailable');
    }
    const known = this.#tally.stateOf(call);
    const place = { ...asked, at: now.getTime() };
    const { selected, before } = this.#tally.draw(place, terms, from.uniform);
    const reservation = drawn(asked, selected, before, {
      ...from,
      run: this.#run,
      dailyGuard: terms.dailyGuard,
    });
    if (!selected || (await this.#isDurable({ step: 'open', ...place }))) return reservation;
    // Asked again: its first answer may have been yes, so the place stays taken.
    if (known === undefined) {
      const release: Step = { ...place, step: 'release' };
      this.#tally.apply(release);
      void this.#persist(release);
    }
    this.#onUngranted?.('late');
    // Its number was used: the ledger shows it as drawn and not granted.
    return { ...reservation, selected: false, reason: 'unavailable' };
  }

  async settle(reservation: Reservation, outcome: SettledOutcome): Promise<void> {
    if (reservation.reason === 'closed') return;
    const { call, campaign, epoch, day, ppm, capPpm } = reservation;
    const at = this.#clock().getTime();
    const step: Step = { step: 'settle', call, campaign, epoch, day, ppm, capPpm, outcome, at };
    this.#tally.apply(step);
    this.#unwritten.add(call);
    await this.#persist(step);
    this.#unwritten.delete(call);
  }

  counts(campaign: string, timeZone?: string): Promise<SampleCounts | undefined> {
    const now = this.#clock();
    return Promise.resolve(this.#tally.counts(campaign, epochOf(now, timeZone), now.getTime()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    await this.#commits.idle();
    await this.#journal[Symbol.asyncDispose]();
    this.#lock[Symbol.dispose]();
  }

  /** False when the disk failed or did not answer within the budget. */
  async #isDurable(step: Step): Promise<boolean> {
    const timer = new AbortController();
    const late = after(this.#timeoutMs, false, { signal: timer.signal }).catch(() => false);
    const written = this.#commits.add(step).then(
      () => true,
      () => false,
    );
    const durable = await Promise.race([written, late]);
    timer.abort();
    return durable;
  }

  /** Tries until it is on disk; the memory of this process counts it meanwhile. */
  async #persist(step: Step): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      try {
        await this.#commits.add(step, 'soon');
        return;
      } catch {
        if (signal.aborted) return;
        await after(this.#retryMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #commit(steps: readonly Step[]): Promise<undefined[]> {
    try {
      if (this.#journal.isLong) await this.#compact();
      await this.#journal.append(steps);
    } catch (error) {
      this.#tell(false, messageOf(error));
      throw error;
    }
    this.#tell(true, undefined);
    return steps.map(() => undefined);
  }

  /** Steps of this moment may stand both in the snapshot and after it: a step done twice changes nothing. */
  async #compact(): Promise<void> {
    const now = this.#clock().getTime();
    const ended = now - longestMs;
    this.#tally.forget(
      { settled: now - settledMemoryMs, ended, epoch: epochOf(new Date(ended)) },
      this.#unwritten,
    );
    await this.#journal.begin(this.#tally.snapshot());
  }

  #tell(available: boolean, why: string | undefined): void {
    if (available === this.#available) return;
    this.#available = available;
    this.#onAvailability?.(available, why);
  }
}
