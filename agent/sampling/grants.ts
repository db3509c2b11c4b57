/**
 * What one agent knows of the shared accounts: each as it saw it last, and its own recent selections. It is what a server
 * that lost writes is told (`recoverScript`).
 */
import { emptyAccount, opened, type Account } from './account.ts';
import type { Reservation, SettledOutcome } from './sampler.ts';

export interface Grant {
  reservation: Reservation;
  sequence: number;
  /** Milliseconds since the Unix epoch. */
  at: number;
  outcome: SettledOutcome | undefined;
}

/** Replication lags by seconds; an append-only file that is synced each second loses one. An hour is more than enough. */
const memoryMs = 3_600_000;

interface Known {
  account: Account;
  grants: Map<string, Grant>;
}

export class Grants {
  readonly #known = new Map<string, Known>();

  /** The last draw of this campaign's month that this agent knows of. */
  lastDraw(place: { campaign: string; epoch: string }): number {
    return this.#known.get(keyOf(place))?.account.draws ?? 0;
  }

  /** Takes in an answer. @param before the account that the draw was taken on, its number included */
  saw(reservation: Reservation, before: Account, now: number): void {
    const known = this.#of(reservation);
    const { selected, draw } = reservation;
    if (before.draws >= known.account.draws) {
      known.account = selected ? opened(before, reservation) : before;
    }
    if (!selected || draw === undefined) return;
    for (const [call, { at, outcome }] of known.grants) {
      if (at + memoryMs > now) break;
      if (outcome !== undefined) known.grants.delete(call);
    }
    known.grants.set(reservation.call, {
      reservation,
      sequence: draw.sequence,
      at: now,
      outcome: undefined,
    });
  }

  /** How a selection ended: told again with it. */
  ended(reservation: Reservation, outcome: SettledOutcome): void {
    const grant = this.#known.get(keyOf(reservation))?.grants.get(reservation.call);
    if (grant !== undefined) grant.outcome ??= outcome;
  }

  /** The server holds fewer draws than were seen, and that was settled with it. */
  reset(place: { campaign: string; epoch: string }, draws: number): void {
    const known = this.#of(place);
    known.account = { ...known.account, draws };
  }

  /** Every month of every campaign that this agent drew in, its selections by the day of their draw. */
  *all(): Generator<{ campaign: string; epoch: string; account: Account; days: Map<string, Grant[]> }> {
    for (const [key, { account, grants }] of this.#known) {
      const [campaign = '', epoch = ''] = key.split(' ');
      yield {
        campaign,
        epoch,
        account,
        days: Map.groupBy(grants.values(), (grant) => grant.reservation.day),
      };
    }
  }

  /** Months before this one are over; their last calls have settled or lapsed. */
  forget(epoch: string): void {
    for (const key of this.#known.keys()) if ((key.split(' ')[1] ?? '') < epoch) this.#known.delete(key);
  }

  #of(place: { campaign: string; epoch: string }): Known {
    const key = keyOf(place);
    let known = this.#known.get(key);
    if (known === undefined) {
      known = { account: emptyAccount, grants: new Map() };
      this.#known.set(key, known);
    }
    return known;
  }
}

function keyOf({ campaign, epoch }: { campaign: string; epoch: string }): string {
  return `${campaign} ${epoch}`;
}
