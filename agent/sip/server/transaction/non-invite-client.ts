/** Non-INVITE client transaction: RFC 3261 figure 6. */
import { go } from './machine.ts';
import type { Table } from './machine.ts';

export type NonInviteClientState = 'trying' | 'proceeding' | 'completed' | 'terminated';

export type NonInviteClientEvent =
  'start' | '1xx' | '200-699' | 'timer E' | 'timer F' | 'timer K' | 'transport error';

export type NonInviteClientAction =
  | 'send request'
  | 'deliver'
  | 'report timeout'
  | 'report unreachable'
  | `arm ${'E' | 'E at T2' | 'F' | 'K'}`
  | `stop ${'E' | 'F'}`;

export const nonInviteClient: Table<NonInviteClientState, NonInviteClientEvent, NonInviteClientAction> = {
  trying: {
    start: go('trying', 'send request', 'arm E', 'arm F'),
    'timer E': go('trying', 'send request', 'arm E'),
    'timer F': go('terminated', 'report timeout'),
    'transport error': go('terminated', 'report unreachable'),
    '1xx': go('proceeding', 'deliver'),
    '200-699': go('completed', 'stop E', 'stop F', 'arm K', 'deliver'),
  },
  proceeding: {
    'timer E': go('proceeding', 'send request', 'arm E at T2'),
    'timer F': go('terminated', 'report timeout'),
    'transport error': go('terminated', 'report unreachable'),
    '1xx': go('proceeding', 'deliver'),
    '200-699': go('completed', 'stop E', 'stop F', 'arm K', 'deliver'),
  },
  completed: {
    'timer K': go('terminated'),
  },
  terminated: {},
};
