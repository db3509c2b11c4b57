/**
 * The calls in progress, for whoever may give orders about them (the console, an agent's desk): who is on, what state
 * they are in, and record, pause, resume, stop. An order is carried out by the call's own story, and is only said to be done
 * when it is: a pause, when the media plane has confirmed it (I-13).
 */
import type { CallId, EpochMicros, Side } from '../../config/units.ts';
import type { Leg } from '../sip/leg.ts';
import type { Pair } from './legs.ts';

/** Who orders it and why: both are written to the ledger. */
export interface Order {
  by: string;
  reason: string;
}

export type Verb = 'record' | 'pause' | 'mask' | 'resume' | 'stop' | 'private';

export type Obeyed = { done: true } | { done: false; why: string };

/** What a call is doing, as a supervisor would say it. */
export type CallState =
  | 'setting-up'
  /** Nobody listens: signalling only. */
  | 'passing'
  /** An outside party is being told. */
  | 'telling'
  | 'recording'
  | 'paused'
  /** Media is anchored, nothing is kept from now on. */
  | 'unrecorded';

export interface CallInProgress {
  readonly call: CallId;
  readonly campaign: string | undefined;
  readonly direction: 'inbound' | 'outbound';
  readonly since: EpochMicros;
  readonly state: CallState;
}

export interface PendingOrder extends Order {
  readonly verb: Verb;
  readonly answer: (obeyed: Obeyed) => void;
}

const sides = ['caller', 'agent'] as const;

export class CallRegistry {
  readonly #calls = new Map<CallId, EnteredCall>();

  /** Enters a call for as long as its story lasts. */
  enter(facts: Omit<CallInProgress, 'state'>): EnteredCall {
    const entered: EnteredCall = new EnteredCall(facts, () => this.#calls.delete(facts.call));
    this.#calls.set(facts.call, entered);
    return entered;
  }

  list(): CallInProgress[] {
    return [...this.#calls.values()].map(({ facts, state }) => ({ ...facts, state }));
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Begins to record a call in progress: its media is brought in, its outside party is told first (I1). */
  record(call: CallId, order: Order): Promise<Obeyed> {
    return this.#give(call, 'record', order);
  }

  /** Resolves when the media plane copies nothing any more (I-13). */
  pause(call: CallId, order: Order): Promise<Obeyed> {
    return this.#give(call, 'pause', order);
  }

  resume(call: CallId, order: Order): Promise<Obeyed> {
    return this.#give(call, 'resume', order);
  }

  /** Ends the recording; what was recorded before is kept. The call goes on. */
  stop(call: CallId, order: Order): Promise<Obeyed> {
    return this.#give(call, 'stop', order);
  }

  /** The call that has a dialog which its far end knows by these names, and the side that this far end is on. */
  find(named: DialogName): { call: EnteredCall; pair: Pair; side: Side } | undefined {
    for (const call of this.#calls.values()) {
      const { pair } = call;
      if (pair === undefined) continue;
      const side = sides.find((each) => isNamed(pair.legs[each].dialog, named));
      if (side !== undefined) return { call, pair, side };
    }
    return undefined;
  }

  #give(call: CallId, verb: Verb, order: Order): Promise<Obeyed> {
    const entered = this.#calls.get(call);
    if (entered === undefined) return Promise.resolve({ done: false, why: 'no such call in progress' });
    return entered.give(verb, order);
  }
}

/** A dialog as a far end names it: local and remote as it sees them. */
export interface DialogName {
  callId: string;
  /** Our tag, of which the far end says `to-tag` in Replaces (RFC 3891: the tag of the one who receives it). */
  ourTag: string;
  theirTag: string;
}

function isNamed(dialog: Leg['dialog'], { callId, ourTag, theirTag }: DialogName): boolean {
  return dialog.callId === callId && dialog.localTag === ourTag && dialog.remoteTag === theirTag;
}

/** Who was on one side of a call, and when. */
export interface PartyOnCall {
  side: Side;
  /** Pseudonym. */
  party: string;
  from: EpochMicros;
  /** Undefined: to the end. */
  to?: EpochMicros;
}

/** One call's place in the registry: its state to be told, orders to be taken. Leaving it refuses what is still asked. */
export class EnteredCall implements Disposable {
  readonly facts: Omit<CallInProgress, 'state'>;
  state: CallState = 'setting-up';
  /** The two legs of the call once there are two. */
  pair: Pair | undefined;
  /** Numbers of the parties who are outside, whom the law protects: to be told before they are recorded (I1). */
  readonly outside = new Map<Side, string>();
  /** Everybody who is or was on the call, as they came. */
  readonly parties: PartyOnCall[] = [];
  /** Somebody on the call said no to a recording: it counts until they hang up (I2). */
  refused = false;
  /** The agent said that the call is a private one: nothing of it is kept, whatever is ordered later. */
  isPrivate = false;
  readonly #leave: () => void;
  readonly #orders: PendingOrder[] = [];
  #wake: (() => void) | undefined;

  constructor(facts: Omit<CallInProgress, 'state'>, leave: () => void) {
    this.facts = facts;
    this.#leave = leave;
  }

  /** Another party is on one side from now on. */
  enterParty(side: Side, party: string, now: EpochMicros): void {
    const before = this.parties.findLast((each) => each.side === side);
    if (before !== undefined) before.to = now;
    this.parties.push({ side, party, from: now });
  }

  partyOn(side: Side): string | undefined {
    return this.parties.findLast((each) => each.side === side)?.party;
  }

  give(verb: Verb, order: Order): Promise<Obeyed> {
    return new Promise((answer) => {
      this.#orders.push({ verb, ...order, answer });
      this.#wake?.();
    });
  }

  /** A racer that ends when an order is there; `take` gives it. */
  ordered(over: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#orders.length > 0 || over.aborted) return resolve();
      const end = (): void => {
        over.removeEventListener('abort', end);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = end;
      over.addEventListener('abort', end);
    });
  }

  take(): PendingOrder | undefined {
    return this.#orders.shift();
  }

  [Symbol.dispose](): void {
    this.#leave();
    for (const { answer } of this.#orders.splice(0)) answer({ done: false, why: 'the call has ended' });
  }
}
