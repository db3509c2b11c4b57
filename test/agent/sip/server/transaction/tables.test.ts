/** Every cell of the four tables, written down again from the figures of RFC 3261 section 17 and RFC 6026. */
import { describe, expect, it } from 'vitest';
import { inviteClient } from '../../../../../agent/sip/server/transaction/invite-client.ts';
import { inviteServer } from '../../../../../agent/sip/server/transaction/invite-server.ts';
import { nonInviteClient } from '../../../../../agent/sip/server/transaction/non-invite-client.ts';
import { nonInviteServer } from '../../../../../agent/sip/server/transaction/non-invite-server.ts';
import type { Table } from '../../../../../agent/sip/server/transaction/machine.ts';

/** `next: actions`, or `-` where the event is ignored. */
type Figure = Record<string, Record<string, string>>;

const figures: [string, Table<string, string, string>, readonly string[], Figure][] = [
  [
    'INVITE client (figure 5, RFC 6026 section 8.4)',
    inviteClient,
    [
      'start',
      'cancelled',
      '1xx',
      '2xx',
      '300-699',
      'timer A',
      'timer B',
      'timer D',
      'timer M',
      'timer cancel',
      'transport error',
    ],
    {
      calling: {
        start: 'calling: send request, arm A, arm B',
        '1xx': 'proceeding: stop A, stop B, deliver',
        '2xx': 'accepted: stop A, stop B, arm M, deliver',
        '300-699': 'completed: stop A, stop B, send ACK, arm D, deliver',
        'timer A': 'calling: send request, arm A',
        'timer B': 'terminated: report timeout',
        'transport error': 'terminated: report unreachable',
      },
      proceeding: {
        cancelled: 'proceeding: arm cancel',
        '1xx': 'proceeding: deliver',
        '2xx': 'accepted: stop cancel, arm M, deliver',
        '300-699': 'completed: stop cancel, send ACK, arm D, deliver',
        'timer cancel': 'terminated: report cancelled',
      },
      completed: {
        '300-699': 'completed: send ACK',
        'timer D': 'terminated: ',
        'transport error': 'terminated: ',
      },
      accepted: { '2xx': 'accepted: deliver', 'timer M': 'terminated: ' },
      terminated: {},
    },
  ],
  [
    'INVITE server (figure 7, RFC 6026 section 8.7)',
    inviteServer,
    [
      'request',
      'ACK',
      'respond 1xx',
      'respond 2xx',
      'respond 300-699',
      'timer G',
      'timer H',
      'timer I',
      'timer L',
      'transport error',
    ],
    {
      proceeding: {
        request: 'proceeding: send response',
        'respond 1xx': 'proceeding: send response',
        'respond 2xx': 'accepted: send response, arm L',
        'respond 300-699': 'completed: send response, arm G, arm H',
      },
      completed: {
        request: 'completed: send response',
        ACK: 'confirmed: stop G, stop H, arm I',
        'timer G': 'completed: send response, arm G',
        'timer H': 'terminated: report timeout',
        'transport error': 'terminated: report unreachable',
      },
      confirmed: { 'timer I': 'terminated: ' },
      accepted: { 'timer L': 'terminated: ' },
      terminated: {},
    },
  ],
  [
    'non-INVITE client (figure 6)',
    nonInviteClient,
    ['start', '1xx', '200-699', 'timer E', 'timer F', 'timer K', 'transport error'],
    {
      trying: {
        start: 'trying: send request, arm E, arm F',
        '1xx': 'proceeding: deliver',
        '200-699': 'completed: stop E, stop F, arm K, deliver',
        'timer E': 'trying: send request, arm E',
        'timer F': 'terminated: report timeout',
        'transport error': 'terminated: report unreachable',
      },
      proceeding: {
        '1xx': 'proceeding: deliver',
        '200-699': 'completed: stop E, stop F, arm K, deliver',
        'timer E': 'proceeding: send request, arm E at T2',
        'timer F': 'terminated: report timeout',
        'transport error': 'terminated: report unreachable',
      },
      completed: { 'timer K': 'terminated: ' },
      terminated: {},
    },
  ],
  [
    'non-INVITE server (figure 8)',
    nonInviteServer,
    ['start', 'request', 'respond 1xx', 'respond 200-699', 'timer J', 'timer answer', 'transport error'],
    {
      trying: {
        start: 'trying: arm answer',
        'respond 1xx': 'proceeding: send response',
        'respond 200-699': 'completed: stop answer, send response, arm J',
        'timer answer': 'trying: report timeout',
      },
      proceeding: {
        request: 'proceeding: send response',
        'respond 1xx': 'proceeding: send response',
        'respond 200-699': 'completed: stop answer, send response, arm J',
        'timer answer': 'proceeding: report timeout',
        'transport error': 'terminated: report unreachable',
      },
      completed: {
        request: 'completed: send response',
        'timer J': 'terminated: ',
        'transport error': 'terminated: report unreachable',
      },
      terminated: {},
    },
  ],
];

describe.each(figures)('%s', (_name, table, events, figure) => {
  const cells = Object.keys(figure).flatMap((state) => events.map((event) => [state, event] as const));

  it.each(cells)('%s, %s', (state, event) => {
    const cell = table[state]?.[event];
    const drawn = cell === undefined ? undefined : `${cell.next}: ${cell.actions.join(', ')}`;
    expect(drawn).toBe(figure[state]?.[event]);
  });

  it('has no state and no event that the figure lacks', () => {
    expect(Object.keys(table).sort()).toEqual(Object.keys(figure).sort());
    for (const row of Object.values(table))
      for (const event of Object.keys(row)) expect(events).toContain(event);
  });
});
