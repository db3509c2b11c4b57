import { expect, test } from 'vitest';
import { notYet } from '../../../agent/sip/early-dialog.ts';
import { configSchema } from '../../../config/schema.ts';
import type { House } from '../../../agent/call/house.ts';
import { callRoute } from '../../../agent/call/routes.ts';
import type { Dialled, DialOptions } from '../../../agent/sip/edge.ts';
import type { Invite } from '../../../agent/sip/invite.ts';
import { hostPortOf } from '../../../agent/sip/peer-uri.ts';
import type { Peer } from '../../../agent/sip/peers.ts';
import { peerNamed } from '../sip/peer.ts';

const failed = (status: number, headers: Record<string, string> = {}): Dialled => ({
  kind: 'failed',
  status,
  reason: '',
  headers,
});
const answered = { kind: 'answered', sdp: 'v=0' } as Dialled;

/** PBXs that answer as the test says, one after the other. */
async function routed(
  peers: Peer[],
  answers: (Dialled | ((options: DialOptions) => Dialled))[],
  { attempts = 4, free }: { attempts?: number; free?: 'emergency' } = {},
) {
  const dials: DialOptions[] = [];
  const plain = { name: 'p', sources: ['192.0.2.1'], uri: 'sip:192.0.2.1' };
  const config = configSchema.parse({
    campaigns: 'none',
    trunks: [plain],
    pbxs: [{ ...plain, name: 'q' }],
    routing: { attempts },
  });
  const house = {
    config,
    shutdown: new AbortController().signal,
    log: { warn: () => undefined },
    edge: {
      candidates: () => peers,
      peers: { byUri: (uri: string) => peers.find((peer) => hostPortOf(peer.uri) === hostPortOf(uri)) },
      dial: async (options: DialOptions) => {
        dials.push(options);
        const answer = answers[dials.length - 1] ?? failed(500);
        return typeof answer === 'function' ? answer(options) : answer;
      },
    },
  } as unknown as House;
  const retries = { count: 0 };
  const dialled = await callRoute(
    { call: 'c', calledWhole: '200', marks: { free, pass: undefined } } as unknown as Invite,
    house,
    {
      body: () => Promise.resolve({ sdp: 'v=0' }),
      onProgress: () => undefined,
      onRetry: async () => void (retries.count += 1),
      ended: new AbortController().signal,
    },
  );
  return {
    dialled: dialled.kind === 'failed' ? dialled.status : dialled.kind,
    tried: dials.map(({ to, called }) => `${to.name} ${called}`),
    dials,
    retries: retries.count,
  };
}

const [a, b, c] = ['a', 'b', 'c'].map((name) => peerNamed(name)) as [Peer, Peer, Peer];

test.each([408, 500, 502, 503, 504, 599])('after %i the next peer is tried', async (status) => {
  const { dialled, tried, retries } = await routed([a, b], [failed(status), answered]);
  expect(dialled).toBe('answered');
  expect(tried).toEqual(['a 200', 'b 200']);
  expect(retries).toBe(1);
});

test.each([302, 400, 403, 404, 480, 486, 488, 501, 600, 603])('after %i nobody else is', async (status) => {
  const { dialled, tried } = await routed([a, b], [failed(status), answered]);
  expect(dialled).toBe(status);
  expect(tried).toEqual(['a 200']);
});

test('a telephone that rang and was not picked up does not ring again at the next PBX', async () => {
  const { dialled, tried } = await routed(
    [a, b],
    [
      ({ onProgress }) => {
        onProgress!(180, undefined, { reliable: false, branch: undefined, early: { update: notYet } });
        return failed(408);
      },
      answered,
    ],
  );
  expect(dialled).toBe(408);
  expect(tried).toEqual(['a 200']);
});

test('all but the last are given little time for a first word', async () => {
  const { dials } = await routed([a, b, c], [failed(503), failed(503), failed(503)]);
  expect(dials.map(({ firstResponseMs }) => firstResponseMs)).toEqual([2_000, 2_000, undefined]);
});

test('no more peers are tried than is configured, but for an emergency', async () => {
  const none = [failed(503), failed(503), failed(503)];
  expect((await routed([a, b, c], none, { attempts: 2 })).tried.length).toBe(2);
  expect((await routed([a, b, c], none, { attempts: 2, free: 'emergency' })).tried.length).toBe(3);
});

test('without a peer the number is not found', async () => {
  expect((await routed([], [])).dialled).toBe(404);
});

const follower = peerNamed('a', { redirects: 'follow' });
const other = peerNamed('b', { redirects: 'follow' });

test('a redirection is followed, with its Diversion, before the rest of the route', async () => {
  const { dialled, tried, dials } = await routed(
    [follower, c, other],
    [failed(302, { Contact: '<sip:300@b.example>' }), answered],
  );
  expect(dialled).toBe('answered');
  expect(tried).toEqual(['a 200', 'b 300']);
  expect(dials[1]!.diversion).toContain('sip:200@a.example');
});

test('redirections in a circle end in 482', async () => {
  const { dialled, tried } = await routed(
    [follower, other],
    [failed(302, { Contact: '<sip:200@b.example>' }), failed(302, { Contact: '<sip:200@a.example>' })],
  );
  expect(dialled).toBe(482);
  expect(tried.length).toBe(2);
});

test('redirections without end are ended', async () => {
  const on = ({ called }: DialOptions): Dialled => failed(302, { Contact: `<sip:${called!}1@b.example>` });
  const { dialled, tried } = await routed(
    [follower, other],
    Array.from({ length: 20 }, () => on),
  );
  expect(dialled).toBe(482);
  expect(tried.length).toBeLessThanOrEqual(6);
});

test('a redirection to a stranger is the caller to follow', async () => {
  const { dialled, tried } = await routed([follower, b], [failed(302, { Contact: '<sip:x@evil.example>' })]);
  expect(dialled).toBe(302);
  expect(tried).toEqual(['a 200']);
});
