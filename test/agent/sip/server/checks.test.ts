/** Requests that are refused whatever the application would say (RFC 3261 section 8.2), and the hops of a request. */
import { describe, expect, it } from 'vitest';
import { headerOf } from '../../../../agent/sip/server/message.ts';
import { bridgeTo, nothingLeft, openBench } from './application.ts';
import { quick } from './in-call.ts';
import { openPeer, request, response, sdp } from './peer.ts';

describe('a request that nobody need look at', () => {
  it.each<[string, Parameters<typeof request>[2], number, [string, string]?]>([
    [
      'with an extension that we do not know',
      { headers: ['Require: 100rel, nothing, else'] },
      420,
      ['unsupported', 'nothing, else'],
    ],
    ['to an address of another scheme', { uri: 'mailto:someone' }, 416],
    [
      'with a body of another kind',
      { headers: ['Content-Disposition: session'], body: 'x', type: 'application/x' },
      415,
      ['accept', 'application/sdp, multipart/mixed'],
    ],
    [
      'with a packed body',
      { headers: ['Content-Encoding: gzip'], body: sdp },
      415,
      ['accept-encoding', 'identity'],
    ],
    [
      'with a body that may be left out',
      { headers: ['Content-Disposition: x; handling=optional'], body: 'x', type: 'application/x' },
      486,
    ],
    ['with a telephone number', { uri: 'tel:+33199000001' }, 486],
    [
      'for a dialog to be replaced',
      { headers: ['Require: replaces', 'Replaces: a@b;to-tag=1;from-tag=2'] },
      486,
    ],
  ])('%s', async (_what, writing, status, says) => {
    await using bench = await openBench(quick, (srf) => srf.invite((_req, res) => res.send(486)));
    await using peer = await openPeer(bench.port);
    peer.send(request(peer, 'INVITE', writing));
    const answer = await peer.fresh((one) => one.kind === 'response' && one.status >= 200);
    expect(answer).toMatchObject({ status });
    if (says) expect(headerOf(answer, says[0])).toBe(says[1]);
  });

  it('is an OPTIONS that came a second way', async () => {
    await using bench = await openBench(quick, (srf) => srf.options(() => undefined));
    await using peer = await openPeer(bench.port);
    peer.send(request(peer, 'OPTIONS', { callId: 'twice', branch: 'z9hG4bK1' }));
    peer.send(request(peer, 'OPTIONS', { callId: 'twice', branch: 'z9hG4bK2' }));
    expect((await peer.fresh(482)).via.params.get('branch')).toBe('z9hG4bK2');
  });
});

describe('a call that comes back to us', () => {
  /** A proxy that sends the INVITE back, its own Via on top. */
  const sentBack = async (rewrite: (uri: string) => string) => {
    let calls = 0;
    const target = { port: 0 };
    const bench = await openBench(quick, (srf) => {
      const carry = bridgeTo(srf, () => `sip:200@127.0.0.1:${target.port}`);
      srf.invite((req, res) => {
        calls += 1;
        if (calls === 1) void carry(req, res);
        else res.send(486);
      });
    });
    const proxy = await openPeer(bench.port);
    const caller = await openPeer(bench.port);
    target.port = proxy.port;
    caller.send(request(caller, 'INVITE', { body: sdp }));
    const invite = await proxy.fresh('INVITE');
    const lines = [`INVITE ${rewrite('sip:200@127.0.0.1')} SIP/2.0`];
    lines.push(`Via: SIP/2.0/UDP 127.0.0.1:${proxy.port};branch=z9hG4bKproxy`);
    for (const { name, value } of invite.headers) lines.push(`${name}: ${value}`);
    proxy.send([...lines, '', invite.body].join('\r\n'));
    const answer = await proxy.fresh((one) => one.kind === 'response' && one.status >= 200);
    proxy.send(response(proxy, invite, 486, { contact: false }));
    await proxy[Symbol.asyncDispose]();
    await caller[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
    return { answer, calls };
  };

  it('through our own Via is a loop: 482, and the application hears nothing', async () => {
    expect(await sentBack((uri) => uri)).toMatchObject({ answer: { status: 482 }, calls: 1 });
  });

  it('for somebody else is a spiral, as a forwarded call makes one', async () => {
    expect(await sentBack(() => 'sip:300@127.0.0.1')).toMatchObject({ answer: { status: 486 }, calls: 2 });
  });
});

describe('Max-Forwards', () => {
  it.each([
    ['12', '12'],
    [undefined, '70'],
    ['nonsense', '70'],
    ['4000', '70'],
  ])('of the application (%s) is sent as %s', async (given, sent) => {
    await using bench = await openBench(quick);
    await using peer = await openPeer(bench.port);
    const headers = given === undefined ? {} : { 'Max-Forwards': given };
    const result = bench.srf.createUAC(`sip:200@127.0.0.1:${peer.port}`, { localSdp: sdp, headers });
    result.catch(() => undefined);
    const invite = await peer.fresh('INVITE');
    expect(headerOf(invite, 'max-forwards')).toBe(sent);
    peer.send(response(peer, invite, 486, { contact: false }));
    await expect(result).rejects.toMatchObject({ status: 486 });
    await nothingLeft(bench.server);
  });
});

describe('a call that rings and rings', () => {
  it('is cancelled when no sign of life has come for twenty times 64*T1', async () => {
    await using bench = await openBench({ timers: { t1Ms: 1, t2Ms: 8, t4Ms: 10 } });
    await using peer = await openPeer(bench.port);
    const result = bench.srf.createUAC(`sip:200@127.0.0.1:${peer.port}`, { localSdp: sdp });
    result.catch(() => undefined);
    const invite = await peer.fresh('INVITE');
    peer.send(response(peer, invite, 180));
    peer.send(response(peer, await peer.fresh('CANCEL'), 200));
    peer.send(response(peer, invite, 487, { contact: false }));
    await expect(result).rejects.toMatchObject({ status: 487 });
    await nothingLeft(bench.server);
  });
});
