/**
 * The two SIP dialogs of a call as one pair: what one far end asks (hold, re-INVITE, UPDATE, INFO, transfer) is asked
 * of the other, and the end of one is the end of both. Our own and not `createB2BUA`'s: it answers early UPDATE by
 * itself, and one rejected re-INVITE blocks every later one (drachtio-srf 5.0.29).
 */
import type { Side } from '../../config/units.ts';
import type { InDialogRequest, InDialogResponse, Leg, LegEnd, Reoffer, ReofferAnswer } from '../sip/leg.ts';
import { Arrivals } from './arrivals.ts';
import { otherSide, type Crossing } from './crossing.ts';
import { after, firstOf, whenAborted } from './first-of.ts';

export type Legs = Record<Side, Leg>;

const sides = ['caller', 'agent'] as const;
const never = new AbortController().signal;

/** Which far end hung up, or that we did. */
export interface PairEnd {
  by: Side | 'tacet';
  reason: string | undefined;
}

/** Sees the requests within a dialog before they are passed on; `pass` passes one on. */
export type Intercept = (
  from: Side,
  request: InDialogRequest,
  pass: (request: InDialogRequest) => Promise<InDialogResponse>,
) => Promise<InDialogResponse>;

const passOn: Intercept = (_from, request, pass) => pass(request);

/** An offer and its answer, until both sides know of it. */
interface Turn {
  over: Promise<unknown>;
  /** The far end that was asked has answered: only the one that asked is still to be told. */
  settling: boolean;
}

/** Two legs that are tied together. */
export class Pair {
  readonly legs: Legs;
  /** On which sides another one sits than in the beginning. */
  readonly replaced = new Set<Side>();
  /** How offers cross from now on: directly, or anchored. */
  crossing: Crossing;
  /** What is done with requests that are passed along; by default nothing. */
  intercept: Intercept = passOn;
  /** Who asks to come in. */
  readonly arrivals = new Arrivals();
  /** The negotiation that is open: the far ends' or ours. Two offers must not cross (RFC 3261 section 14.2). */
  #open: Turn | undefined;
  /** Resolves when who sits where, or who is leaving, is another matter than before. */
  #changed = Promise.withResolvers<undefined>();
  /** Whoever is here asked for another one in its place: its own end is not the call's. */
  #leaving: Side | undefined;
  /** This side's leg goes on in another call. */
  #released: Side | undefined;

  constructor(legs: Legs, crossing: Crossing) {
    this.legs = { ...legs };
    this.crossing = crossing;
    for (const side of sides) this.#tie(side);
  }

  get ended(): AbortSignal {
    return AbortSignal.any(sides.map((side) => this.legs[side].ended));
  }

  /** Puts another leg in a side's place; the one that was there is the caller's to end. */
  replace(side: Side, leg: Leg): void {
    this.legs[side] = leg;
    this.replaced.add(side);
    this.#tie(side);
    this.#lookAgain();
  }

  /** While this is held, a side that hangs up does not end the call: another one is about to take its place. */
  leaves(side: Side): Disposable {
    this.#leaving = side;
    this.#lookAgain();
    return {
      [Symbol.dispose]: () => {
        this.#leaving = undefined;
        this.#lookAgain();
      },
    };
  }

  /** This side's leg is another call's from now on: the other one is hung up and the pair is over. */
  release(side: Side): void {
    this.legs[side].move();
    this.#released = side;
    this.#lookAgain();
  }

  /** Negotiates by ourselves when no other negotiation is open; a far end's offer meanwhile is asked to wait (491). */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    while (this.#open !== undefined) await this.#open.over;
    return await this.#negotiate(work);
  }

  /** The same if no other negotiation is open now; undefined, and nothing done, when one is. */
  async tryTurn<T>(work: () => Promise<T>): Promise<T | undefined> {
    return this.#open === undefined ? await this.#negotiate(work) : undefined;
  }

  /** Our own offer to one side, again after a 491 when its time has come (RFC 3261 section 14.1), four times at most. */
  async insist(side: Side, reoffer: Reoffer): Promise<ReofferAnswer> {
    const leg = this.legs[side];
    for (let attempt = 0; ; attempt++) {
      const answer = await leg.reoffer(reoffer);
      if (answer.status !== 491 || attempt === 3) return answer;
      await firstOf({ turn: after(leg.glareDelayMs()), ended: whenAborted(leg.ended) });
    }
  }

  /**
   * Waits until one of the legs ends. The other is then hung up with the reason handed on (RFC 3326).
   *
   * @param limit aborts when the pair must be ended by us (maximum duration, shutdown); a string as reason is the Reason
   */
  async carry(limit: AbortSignal): Promise<PairEnd> {
    for (;;) {
      const { caller, agent } = this.legs;
      const first = await firstOf({
        caller: whenAborted(this.#leaving === 'caller' ? never : caller.ended),
        agent: whenAborted(this.#leaving === 'agent' ? never : agent.ended),
        tacet: whenAborted(limit),
        changed: () => this.#changed.promise,
      });
      if (this.#released !== undefined) {
        const asker = otherSide(this.#released);
        this.arrivals.close();
        await this.legs[asker].hangUp();
        return { by: asker, reason: undefined };
      }
      if (first.won === 'changed') continue;
      const ended = first.won === 'tacet' ? undefined : (first.value as LegEnd);
      const by = ended?.by === 'peer' && first.won !== 'tacet' ? first.won : 'tacet';
      const reason = ended?.reason ?? (typeof limit.reason === 'string' ? limit.reason : undefined);
      this.arrivals.close();
      await Promise.all(sides.map((side) => this.legs[side].hangUp(reason)));
      return { by, reason };
    }
  }

  #lookAgain(): void {
    this.#changed.resolve(undefined);
    this.#changed = Promise.withResolvers();
  }

  #tie(side: Side): void {
    const leg = this.legs[side];
    leg.onReoffer((reoffer) => this.#cross(side, reoffer));
    leg.onRequest((request) => this.intercept(side, request, (on) => this.legs[otherSide(side)].request(on)));
  }

  async #cross(side: Side, reoffer: Reoffer): Promise<ReofferAnswer> {
    // Whose own leg has been answered may find the other one still being told: that is soon over, and no glare.
    while (this.#open?.settling === true) await this.#open.over;
    // Else the one that finds us busy tries again after its 491, each side after its own time.
    if (this.#open !== undefined) return { status: 491, reason: 'Request Pending', sdp: undefined };
    const answering = Promise.withResolvers<ReofferAnswer>();
    void this.#negotiate(async (turn) => {
      try {
        const answer = await this.crossing(side, reoffer, async (on) => {
          const theirs = await this.legs[otherSide(side)].reoffer(on);
          turn.settling = theirs.acknowledge === undefined;
          return theirs;
        });
        await this.#untilAcknowledged(answer, answering.resolve);
      } catch (error) {
        answering.reject(error);
      }
    });
    return await answering.promise;
  }

  /** Gives the answer on; one that asks for an answer in the ACK is settled when that has come. */
  async #untilAcknowledged(answer: ReofferAnswer, give: (answer: ReofferAnswer) => void): Promise<void> {
    const { acknowledge } = answer;
    if (acknowledge === undefined) {
      give(answer);
      return;
    }
    const acknowledged = Promise.withResolvers<undefined>();
    give({
      ...answer,
      acknowledge: async (mine) => {
        await Promise.resolve(acknowledge(mine)).finally(() => acknowledged.resolve(undefined));
      },
    });
    await acknowledged.promise;
  }

  async #negotiate<T>(work: (turn: Turn) => Promise<T>): Promise<T> {
    const over = Promise.withResolvers<undefined>();
    const turn: Turn = { over: over.promise, settling: false };
    this.#open = turn;
    try {
      return await work(turn);
    } finally {
      this.#open = undefined;
      over.resolve(undefined);
    }
  }
}
