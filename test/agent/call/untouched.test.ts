import { expect, test } from 'vitest';
import { configSchema } from '../../../config/schema.ts';
import { carryCall } from '../../../agent/call/call.ts';
import type { House } from '../../../agent/call/house.ts';
import { CallRegistry } from '../../../agent/call/registry.ts';
import type { DialOptions } from '../../../agent/sip/edge.ts';
import type { Invite, InviteMarks } from '../../../agent/sip/invite.ts';
import { peerNamed } from '../sip/peer.ts';

/** A house in which nothing that could be waited for ever answers. */
function hungHouse() {
  const asked: string[] = [];
  const dialled = Promise.withResolvers<DialOptions>();
  const hang = (what: string) => (): Promise<never> => {
    asked.push(what);
    return new Promise(() => undefined);
  };
  const plain = { name: 'p', sources: ['192.0.2.1'], uri: 'sip:192.0.2.1' };
  const nothing = (): undefined => undefined;
  const house = {
    config: configSchema.parse({ campaigns: 'none', trunks: [plain], pbxs: [{ ...plain, name: 'q' }] }),
    campaigns: {
      match: () => {
        asked.push('campaigns');
        return undefined;
      },
    },
    rules: new Map(),
    calls: new CallRegistry(),
    now: () => 0,
    sampler: { reserve: hang('sampler'), settle: hang('sampler') },
    ledger: { append: hang('ledger') },
    media: { open: hang('media') },
    metrics: { callEnded: nothing, decision: nothing },
    log: { info: nothing, warn: nothing, error: nothing },
    edge: {
      candidates: () => [peerNamed('carrier')],
      dial: async (options: DialOptions) => {
        dialled.resolve(options);
        return { kind: 'failed', status: 486, reason: 'Busy Here', headers: {} };
      },
    },
    shutdown: new AbortController().signal,
  } as unknown as House;
  return { house, asked, dialled: dialled.promise };
}

function invited(marks: InviteMarks) {
  const rejected: number[] = [];
  const invite = {
    call: 'c',
    from: peerNamed('pbx'),
    called: '112',
    calledWhole: '112',
    caller: '207',
    body: 'v=0\r\n',
    contentType: 'application/sdp',
    marks,
    cancelled: new AbortController().signal,
    header: () => undefined,
    early: { onUpdate: () => undefined },
    progress: () => undefined,
    reject: (status: number) => rejected.push(status),
  } as unknown as Invite;
  return { invite, rejected };
}

test.each<[string, InviteMarks['free']]>([
  ['an emergency call', 'emergency'],
  ['a number that always passes', 'bypass'],
])('%s goes out though sampler, ledger and media hang, its body untouched', async (_name, free) => {
  const { house, asked, dialled } = hungHouse();
  const { invite } = invited({ free, pass: undefined });
  void carryCall(invite, house);
  const { sdp, contentType } = await dialled;
  expect([sdp, contentType]).toEqual(['v=0\r\n', 'application/sdp']);
  expect(asked.filter((what) => what !== 'ledger')).toEqual([]);
});

test('a call that comes back is not drawn again, and goes out though the ledger hangs', async () => {
  const { house, asked, dialled } = hungHouse();
  const { invite } = invited({ free: undefined, pass: { of: 'first' as Invite['call'], passes: 1 } });
  void carryCall(invite, house);
  await dialled;
  expect(asked).toEqual(['ledger']);
});

test('a call that came back too often is refused', () => {
  const { house } = hungHouse();
  const { invite, rejected } = invited({
    free: undefined,
    pass: { of: 'first' as Invite['call'], passes: 3 },
  });
  void carryCall(invite, house);
  expect(rejected).toEqual([482]);
});
