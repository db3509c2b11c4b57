/** INVITE server transaction: RFC 3261 figure 7, with the accepted state of RFC 6026 section 8.7. */
import { go } from './machine.ts';
import type { Table } from './machine.ts';

export type InviteServerState = 'proceeding' | 'completed' | 'confirmed' | 'accepted' | 'terminated';

export type InviteServerEvent =
  | 'request'
  | 'ACK'
  | 'respond 1xx'
  | 'respond 2xx'
  | 'respond 300-699'
  | 'timer G'
  | 'timer H'
  | 'timer I'
  | 'timer L'
  | 'transport error';

export type InviteServerAction =
  | 'send response'
  | 'report timeout'
  | 'report unreachable'
  | `arm ${'G' | 'H' | 'I' | 'L'}`
  | `stop ${'G' | 'H'}`;

/** A retransmitted 2xx belongs to the dialog, not here (RFC 3261 section 13.3.1.4). */
export const inviteServer: Table<InviteServerState, InviteServerEvent, InviteServerAction> = {
  proceeding: {
    request: go('proceeding', 'send response'),
    'respond 1xx': go('proceeding', 'send response'),
    'respond 2xx': go('accepted', 'send response', 'arm L'),
    'respond 300-699': go('completed', 'send response', 'arm G', 'arm H'),
  },
  completed: {
    request: go('completed', 'send response'),
    ACK: go('confirmed', 'stop G', 'stop H', 'arm I'),
    'timer G': go('completed', 'send response', 'arm G'),
    'timer H': go('terminated', 'report timeout'),
    'transport error': go('terminated', 'report unreachable'),
  },
  confirmed: {
    'timer I': go('terminated'),
  },
  accepted: {
    'timer L': go('terminated'),
  },
  terminated: {},
};
