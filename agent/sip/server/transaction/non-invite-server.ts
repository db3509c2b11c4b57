/** Non-INVITE server transaction: RFC 3261 figure 8. */
import { go } from './machine.ts';
import type { Table } from './machine.ts';

export type NonInviteServerState = 'trying' | 'proceeding' | 'completed' | 'terminated';

export type NonInviteServerEvent =
  'start' | 'request' | 'respond 1xx' | 'respond 200-699' | 'timer J' | 'timer answer' | 'transport error';

export type NonInviteServerAction =
  'send response' | 'report timeout' | 'report unreachable' | `arm ${'J' | 'answer'}` | 'stop answer';

/** `timer answer` is ours: 64*T1 in which the application must answer, since the client has given up by then. */
export const nonInviteServer: Table<NonInviteServerState, NonInviteServerEvent, NonInviteServerAction> = {
  trying: {
    start: go('trying', 'arm answer'),
    'respond 1xx': go('proceeding', 'send response'),
    'respond 200-699': go('completed', 'stop answer', 'send response', 'arm J'),
    'timer answer': go('trying', 'report timeout'),
  },
  proceeding: {
    request: go('proceeding', 'send response'),
    'respond 1xx': go('proceeding', 'send response'),
    'respond 200-699': go('completed', 'stop answer', 'send response', 'arm J'),
    'timer answer': go('proceeding', 'report timeout'),
    'transport error': go('terminated', 'report unreachable'),
  },
  completed: {
    request: go('completed', 'send response'),
    'timer J': go('terminated'),
    'transport error': go('terminated', 'report unreachable'),
  },
  terminated: {},
};
