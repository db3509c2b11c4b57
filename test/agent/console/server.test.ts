import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { json } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PendingOrder } from '../../../agent/call/registry.ts';
import { ConsoleUnavailable, routesOf, startConsole } from '../../../agent/console/server.ts';
import type { CallId, EpochMicros } from '../../../config/units.ts';
import { openAuthority } from '../../peers/certificates.ts';
import { raise, support } from '../campaigns/live-for-tests.ts';
import { consoleForTests, type Asking, type Console } from './console-for-tests.ts';

let api: Console;
beforeEach(async () => {
  api = await consoleForTests();
});
afterEach(async () => {
  expect(api.faults).toEqual([]);
  await api[Symbol.asyncDispose]();
});

const campaign = '/v1/campaigns/support';

const problem = (status: number, word: string): unknown =>
  expect.objectContaining({
    status,
    headers: expect.objectContaining({ 'content-type': 'application/problem+json' }) as unknown,
    body: expect.objectContaining({ type: `urn:tacet:problem:${word}`, status }) as unknown,
  });

describe('who may', () => {
  test('nobody without a token that is known, whole and not past its end; taken away, it is gone at once', async () => {
    expect(await api.ask({ path: '/v1/campaigns' })).toEqual(problem(401, 'token-needed'));
    expect(await api.ask({ path: '/v1/campaigns', by: 'tacet_nobody' })).toEqual(
      problem(401, 'token-needed'),
    );
    expect((await api.ask({ path: '/v1/campaigns', by: 'carla' })).status).toBe(200);
    const [, , carla] = await api.tokens.list();
    await api.tokens.revoke(carla!.id);
    expect((await api.ask({ path: '/v1/campaigns', by: 'carla' })).status).toBe(401);
    api.clock.pass(31);
    expect((await api.ask({ path: '/v1/campaigns', by: 'anna' })).status).toBe(401);
  });

  test('each way in asks for its scope', async () => {
    const scopes: Record<string, string> = {
      read: 'carla',
      'campaigns:write': 'anna',
      'campaigns:approve': 'bruno',
      'calls:control': 'desk',
      objections: 'dpo',
    };
    for (const { method, path, scope } of routesOf(api.options)) {
      const asked = { method, path: path.replaceAll(/\{\w+\}/gu, 'x') };
      const without = scope === 'objections' ? 'anna' : 'dpo';
      expect(await api.ask({ ...asked, by: without }), `${method} ${path}`).toEqual(
        problem(403, 'scope-needed'),
      );
      expect([401, 403], `${method} ${path}`).not.toContain(
        (await api.ask({ ...asked, by: scopes[scope]! })).status,
      );
    }
  });

  test('of a token nothing is kept by which it could be used', async () => {
    const kept = JSON.stringify(await api.tokens.list());
    expect(kept).not.toContain(api.secretOf('anna').slice(6));
  });
});

describe('campaigns', () => {
  test('are changed in the version that was read, act on the next call, and stand in the history', async () => {
    const read = await api.ask({ path: campaign, by: 'carla' });
    expect(read).toMatchObject({ headers: { etag: '"0"' }, body: { version: 0, freeCeiling: 0.3 } });
    const body = { rate: 0.25, reason: 'quality week' };
    const change: Asking = { method: 'PATCH', path: campaign, by: 'anna', body };
    expect(await api.ask(change)).toEqual(problem(428, 'version-needed'));
    expect(await api.ask({ ...change, ifMatch: 'W/x' })).toEqual(problem(400, 'malformed'));
    expect(await api.ask({ ...change, ifMatch: '"0"' })).toMatchObject({
      status: 200,
      headers: { etag: '"1"' },
      body: { version: 1, campaign: { rate: 0.25 }, file: { rate: 0.2 } },
    });
    expect(api.agent.live.now(support).rate).toBe(0.25);
    expect(await api.ask({ ...change, ifMatch: '"0"' })).toEqual(problem(412, 'changed-meanwhile'));
    expect((await api.ask({ path: '/v1/history?campaign=support', by: 'carla' })).body).toEqual({
      changes: [
        expect.objectContaining({
          version: 1,
          by: 'anna',
          reason: 'quality week',
          deed: { kind: 'campaign.set', campaign: 'support', settings: { rate: 0.25 } },
        }),
      ],
    });
    expect((await api.ask({ path: '/v1/history?campaign=insured', by: 'carla' })).body).toEqual({
      changes: [],
    });
    const reset: Asking = { method: 'DELETE', path: `${campaign}/changes`, by: 'anna', ifMatch: '*' };
    expect((await api.ask(reset)).body).toMatchObject({ campaign: { rate: 0.2 } });
  });

  test.each<[what: string, asking: Asking, status: number, word: string]>([
    ['a rate that is none', { path: campaign, body: { rate: 2 } }, 400, 'malformed'],
    ['a key that is not known', { path: campaign, body: { market: 'DE' } }, 400, 'malformed'],
    ['a body that is no JSON', { path: campaign, body: '{' }, 400, 'malformed'],
    ['a body too long', { path: campaign, body: `"${'x'.repeat(70_000)}"` }, 413, 'malformed'],
    ['too high for one person', { path: campaign, body: { rate: 0.5 } }, 422, 'needs-approval'],
    [
      'a campaign that is none',
      { path: '/v1/campaigns/nobody', body: { rate: 0.1 } },
      404,
      'unknown-campaign',
    ],
    ['a place that is none', { path: '/v1/nothing', body: {} }, 404, 'no-such-resource'],
  ])('%s is refused', async (_, asking, status, word) => {
    expect(await api.ask({ method: 'PATCH', by: 'anna', ifMatch: '*', ...asking })).toEqual(
      problem(status, word),
    );
    expect(api.agent.live.history).toEqual([]);
  });

  test('explain, simulate and count', async () => {
    const explained = await api.ask({ path: `${campaign}/explanation?outside=%2B33612345678`, by: 'carla' });
    expect(explained.body).toMatchObject({ campaign: 'support', constraint: { rate: 0.2 } });
    const simulated = await api.ask({
      path: `${campaign}/simulation?rate=0.5&callsPerDay=2000`,
      by: 'carla',
    });
    expect(simulated.body).toMatchObject({ assumptions: { rate: 0.5 }, verdict: { kind: 'needs-approval' } });
    expect((await api.ask({ path: `${campaign}/simulation`, by: 'carla' })).status).toBe(400);
    expect((await api.ask({ path: `${campaign}/sample`, by: 'carla' })).body).toEqual({
      eligible: 10,
      recorded: 3,
      open: 1,
    });
  });
});

test('a raise: proposed, approved by a second person, and back at its end', async () => {
  const proposed = await api.ask({ method: 'POST', path: '/v1/proposals', by: 'anna', body: raise });
  expect(proposed).toMatchObject({ status: 201, body: { state: 'proposed', proposedBy: 'anna' } });
  const { id } = proposed.body as { id: string };
  const approve = (by: string): Asking => ({
    method: 'POST',
    path: `/v1/proposals/${id}/approve`,
    by,
    body: { reason: 'seen' },
  });
  expect(await api.ask(approve('anna'))).toEqual(problem(403, 'same-person'));
  expect(await api.ask(approve('bruno'))).toMatchObject({ status: 200, body: { state: 'approved' } });
  expect(await api.ask(approve('bruno'))).toEqual(problem(409, 'already-decided'));
  expect((await api.ask({ path: campaign, by: 'carla' })).body).toMatchObject({
    campaign: { rate: 0.6 },
    raisedUntil: raise.until,
  });
  api.clock.pass(29.9);
  expect((await api.ask({ path: '/v1/proposals', by: 'bruno' })).body).toMatchObject({
    proposals: [{ id, state: 'approved', decidedBy: 'bruno' }],
  });
});

test('stop switches: for some minutes, or until resumed', async () => {
  const body = { scope: { of: 'everything' }, minutes: 10, reason: 'an incident' };
  const stopped = await api.ask({ method: 'POST', path: '/v1/stops', by: 'anna', body });
  expect(stopped).toMatchObject({ status: 201, body: { until: '2026-11-26T08:10:00.000Z', by: 'anna' } });
  expect((await api.ask({ path: campaign, by: 'carla' })).body).toMatchObject({ stopped: true });
  const { id } = stopped.body as { id: string };
  expect(await api.ask({ method: 'DELETE', path: `/v1/stops/${id}`, by: 'anna' })).toMatchObject({
    status: 204,
  });
  expect(await api.ask({ method: 'DELETE', path: `/v1/stops/${id}`, by: 'anna' })).toEqual(
    problem(404, 'unknown-stop'),
  );
  expect((await api.ask({ path: '/v1/stops', by: 'carla' })).body).toEqual({ stops: [] });
});

describe('calls in progress', () => {
  const call = 'c1' as CallId;
  const order = (verb: string): Asking => ({
    method: 'POST',
    path: `/v1/calls/${call}/${verb}`,
    by: 'desk',
    body: { reason: 'a threat' },
  });

  test('are listed, and an order is answered when it was carried out, or why not', async () => {
    const since = 1 as EpochMicros;
    using entered = api.calls.enter({ call, campaign: 'support', direction: 'inbound', since });
    expect((await api.ask({ path: '/v1/calls', by: 'carla' })).body).toMatchObject({
      calls: [{ call, state: 'setting-up' }],
    });
    const story = async (obeyed: Parameters<PendingOrder['answer']>[0]): Promise<PendingOrder> => {
      await entered.ordered(new AbortController().signal);
      const taken = entered.take()!;
      taken.answer(obeyed);
      return taken;
    };
    const [paused, taken] = await Promise.all([api.ask(order('pause')), story({ done: true })]);
    expect(paused.body).toEqual({ done: true });
    expect(taken).toMatchObject({ verb: 'pause', by: 'desk', reason: 'a threat' });
    const [refused] = await Promise.all([
      api.ask(order('record')),
      story({ done: false, why: 'the caller has refused' }),
    ]);
    expect(refused).toEqual(problem(409, 'not-done'));
    await api.agent.live.stop({ by: 'anna' }, { of: 'everything' });
    expect(await api.ask(order('record'))).toEqual(problem(409, 'stopped'));
  });

  test('one that is over is not there', async () => {
    expect(await api.ask(order('record'))).toEqual(problem(404, 'unknown-call'));
    expect(await api.ask(order('sing'))).toEqual(problem(400, 'malformed'));
  });
});

test('agents and objections', async () => {
  const body = { protected: true, noticeOn: '2026-10-01' };
  await api.ask({ method: 'PATCH', path: '/v1/agents/4711', by: 'anna', body });
  expect((await api.ask({ path: '/v1/agents', by: 'carla' })).body).toEqual({
    agents: [{ agent: '4711', ...body }],
  });
  expect((await api.ask({ method: 'DELETE', path: '/v1/agents/4711', by: 'anna' })).status).toBe(204);
  const number = '+33 6 12 34 56 78';
  const check: Asking = { method: 'POST', path: '/v1/objections/check', by: 'dpo', body: { number } };
  expect((await api.ask(check)).body).toEqual({ objects: false });
  const added = await api.ask({ method: 'POST', path: '/v1/objections', by: 'dpo', body: { number } });
  expect(added).toMatchObject({
    status: 201,
    body: { hash: expect.stringMatching(/^[0-9a-f]{64}$/u) as unknown },
  });
  expect((await api.ask(check)).body).toEqual({ objects: true });
  const lift = { number, reason: 'asked in writing' };
  expect((await api.ask({ method: 'POST', path: '/v1/objections/lift', by: 'dpo', body: lift })).status).toBe(
    204,
  );
  expect((await api.ask(check)).body).toEqual({ objects: false });
  const history = await api.ask({ path: '/v1/history', by: 'carla' });
  expect(JSON.stringify(history.body)).not.toMatch(/6\W*12\W*34\W*56\W*78|"salt":"[^"]/u);
});

test('what is answered is what the document says', async () => {
  await api.ask({ method: 'POST', path: '/v1/proposals', by: 'anna', body: raise });
  await api.agent.live.stop({ by: 'anna' }, { of: 'everything' });
  await api.agent.live.setAgent({ by: 'anna' }, '4711', { protected: true });
  const document = (await api.ask({ path: '/openapi.json' })).body as { paths: Record<string, object> };
  const routes = routesOf(api.options);
  expect(
    Object.entries(document.paths)
      .flatMap(([path, ways]) => Object.keys(ways).map((way) => `${way} ${path}`))
      .sort(),
  ).toEqual(routes.map(({ method, path }) => `${method.toLowerCase()} ${path}`).sort());
  for (const { method, path, answer, scope } of routes) {
    if (method !== 'GET' || answer === undefined || scope !== 'read') continue;
    const { status, body } = await api.ask({ path: path.replace('{campaign}', 'support'), by: 'carla' });
    expect(status, path).toBe(200);
    expect(answer.safeParse(body).error?.issues, path).toBeUndefined();
  }
});

describe('over the network', () => {
  test('plain on loopback; a port that is taken is said to be', async () => {
    await using server = await startConsole(api.options);
    const response = await fetch(`http://127.0.0.1:${server.port}${campaign}`, {
      headers: { authorization: `Bearer ${api.secretOf('carla')}` },
    });
    expect([response.status, response.headers.get('etag')]).toEqual([200, '"0"']);
    await expect(startConsole({ ...api.options, port: server.port })).rejects.toThrow(ConsoleUnavailable);
  });

  test('TLS', async () => {
    await using authority = await openAuthority();
    const { certificate, key } = await authority.issue(['IP:127.0.0.1']);
    const tls = { cert: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') };
    await using server = await startConsole({ ...api.options, tls });
    const answered = Promise.withResolvers<unknown>();
    const headers = { authorization: `Bearer ${api.secretOf('carla')}` };
    const ca = await readFile(authority.ca, 'utf8');
    request({ port: server.port, host: '127.0.0.1', path: '/v1/stops', headers, ca })
      .on('response', (response) => answered.resolve(json(response)))
      .on('error', answered.reject)
      .end();
    expect(await answered.promise).toEqual({ stops: [] });
  });
});
