import { pause } from './pause.ts';
import { randomFrom } from './plan.ts';
import { RtpLine } from './rtp-line.ts';
import type { IncomingCall } from './telephone-call.ts';
import { UserAgent } from './user-agent.ts';

export interface PbxOptions {
  address?: string;
  /** Any free port by default. */
  port?: number;
  /** What the agents say, A-law. */
  speech: Uint8Array;
  /** Numbers that are busy (486). */
  isBusy?: (called: string) => boolean;
  /** How long an agent lets it ring: between these two, 100 to 300 ms by default. */
  ringMs?: { min: number; max: number };
  seed?: number;
}

export interface PbxTotals {
  calls: number;
  answered: number;
  busy: number;
  /** Calls that the caller gave up while they rang. */
  cancelled: number;
  rtpSent: number;
  rtpReceived: number;
  /** Keys that reached the agents: a caller's refusal must not be among them. */
  digits: string[];
}

/** The call centre's PBX: its agents pick up, talk, and never hang up. */
export class DemoPbx implements AsyncDisposable {
  readonly #agent: UserAgent;
  readonly #options: PbxOptions;
  readonly #random: () => number;
  readonly #totals: PbxTotals = {
    calls: 0,
    answered: 0,
    busy: 0,
    cancelled: 0,
    rtpSent: 0,
    rtpReceived: 0,
    digits: [],
  };
  readonly #lines = new Set<RtpLine>();
  readonly #pickedUp = new Set<string>();
  readonly #closing = new AbortController();
  readonly #calls = new Set<Promise<void>>();
  readonly #listeners = new Map<string, () => void>();

  private constructor(agent: UserAgent, options: PbxOptions) {
    this.#agent = agent;
    this.#options = options;
    this.#random = randomFrom(options.seed ?? 1);
  }

  static async start(options: PbxOptions): Promise<DemoPbx> {
    const started: { pbx?: DemoPbx } = {};
    const agent = await UserAgent.open({
      address: options.address ?? '127.0.0.1',
      port: options.port ?? 0,
      onCall: (call) => {
        if (started.pbx !== undefined) started.pbx.#track(call);
      },
    });
    started.pbx = new DemoPbx(agent, options);
    return started.pbx;
  }

  get address(): string {
    return this.#agent.address;
  }

  get port(): number {
    return this.#agent.port;
  }

  totals(): PbxTotals {
    const lines = [...this.#lines];
    return {
      ...this.#totals,
      rtpSent: this.#totals.rtpSent + sum(lines.map(({ sent }) => sent)),
      rtpReceived: this.#totals.rtpReceived + sum(lines.map(({ received }) => received)),
      digits: [...this.#totals.digits, ...lines.flatMap(({ digits }) => digits)],
    };
  }

  /**
   * Resolves when an agent has picked up a call from this number. A real caller hears that somebody speaks to them;
   * the demo's caller, who cannot tell a voice from a prompt, is told.
   */
  pickedUp(caller: string): Promise<void> {
    if (this.#pickedUp.has(caller)) return Promise.resolve();
    return new Promise((resolve) => this.#listeners.set(caller, resolve));
  }

  /** Resolves when no call is up: the totals are then those of whole calls. */
  async idle(): Promise<void> {
    while (this.#calls.size > 0) await Promise.all(this.#calls);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#agent[Symbol.asyncDispose]();
    await Promise.all([...this.#lines].map((line) => line[Symbol.asyncDispose]()));
    this.#lines.clear();
  }

  #track(call: IncomingCall): void {
    const carried = this.#carry(call).finally(() => this.#calls.delete(carried));
    this.#calls.add(carried);
  }

  async #carry(call: IncomingCall): Promise<void> {
    this.#totals.calls += 1;
    if (this.#options.isBusy?.(call.called) === true) {
      this.#totals.busy += 1;
      call.refuse(486, 'Busy Here');
      return;
    }
    call.ring();
    const { min, max } = this.#options.ringMs ?? { min: 100, max: 300 };
    await pause(min + this.#random() * (max - min), this.#closing.signal);
    if (this.#closing.signal.aborted) return;
    const line = await RtpLine.open(this.#agent.address);
    const picked = call.pickUp(line.answer(call.offer), (offer) => line.answer(offer));
    if (picked === undefined) {
      this.#totals.cancelled += 1;
      await line[Symbol.asyncDispose]();
      return;
    }
    this.#lines.add(line);
    this.#totals.answered += 1;
    line.speak(this.#options.speech);
    this.#pickedUp.add(call.caller);
    this.#listeners.get(call.caller)?.();
    this.#listeners.delete(call.caller);
    await picked.ended;
    if (!this.#lines.delete(line)) return;
    this.#totals.rtpSent += line.sent;
    this.#totals.rtpReceived += line.received;
    this.#totals.digits.push(...line.digits);
    await line[Symbol.asyncDispose]();
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
