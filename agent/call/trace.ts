/** An entry of the ledger that the call does not wait for with its life: I4 before I6, and what I6 allows does not happen. */
import { messageOf } from '../../config/errors.ts';
import type { LedgerEvent } from '../ledger/ledger.ts';
import type { House } from './house.ts';

/** Appends an entry; false, and a line in the log, when it cannot be made durable. */
export async function trace(house: Pick<House, 'ledger' | 'log'>, event: LedgerEvent): Promise<boolean> {
  try {
    await house.ledger.append(event);
    return true;
  } catch (error) {
    house.log.error({ kind: event.kind, why: messageOf(error) }, 'ledger cannot be written');
    return false;
  }
}
