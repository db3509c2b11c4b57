/** INVITE client transaction: RFC 3261 figure 5, with the accepted state of RFC 6026 section 8.4. */
import { go } from './machine.ts';
import type { Table } from './machine.ts';

export type InviteClientState = 'calling' | 'proceeding' | 'completed' | 'accepted' | 'terminated';

export type InviteClientEvent =
  | 'start'
  | 'cancelled'
  | '1xx'
  | '2xx'
  | '300-699'
  | 'timer A'
  | 'timer B'
  | 'timer D'
  | 'timer M'
  | 'timer cancel'
  | 'transport error';

export type InviteClientAction =
  | 'send request'
  | 'send ACK'
  | 'deliver'
  | 'report timeout'
  | 'report cancelled'
  | 'report unreachable'
  | `arm ${'A' | 'B' | 'D' | 'M' | 'cancel'}`
  | `stop ${'A' | 'B' | 'cancel'}`;

/** `timer cancel` is the 64*T1 after a CANCEL in which a final response must come (RFC 3261 section 9.1). */
export const inviteClient: Table<InviteClientState, InviteClientEvent, InviteClientAction> = {
  calling: {
    start: go('calling', 'send request', 'arm A', 'arm B'),
    'timer A': go('calling', 'send request', 'arm A'),
    'timer B': go('terminated', 'report timeout'),
    'transport error': go('terminated', 'report unreachable'),
    '1xx': go('proceeding', 'stop A', 'stop B', 'deliver'),
    '2xx': go('accepted', 'stop A', 'stop B', 'arm M', 'deliver'),
    '300-699': go('completed', 'stop A', 'stop B', 'send ACK', 'arm D', 'deliver'),
  },
  proceeding: {
    cancelled: go('proceeding', 'arm cancel'),
    'timer cancel': go('terminated', 'report cancelled'),
    '1xx': go('proceeding', 'deliver'),
    '2xx': go('accepted', 'stop cancel', 'arm M', 'deliver'),
    '300-699': go('completed', 'stop cancel', 'send ACK', 'arm D', 'deliver'),
  },
  completed: {
    '300-699': go('completed', 'send ACK'),
    'timer D': go('terminated'),
    'transport error': go('terminated'),
  },
  accepted: {
    '2xx': go('accepted', 'deliver'),
    'timer M': go('terminated'),
  },
  terminated: {},
};
