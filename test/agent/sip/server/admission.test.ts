import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Admission } from '../../../../agent/sip/server/admission.ts';
import { parseMessage } from '../../../../agent/sip/server/message.ts';
import type { SipRequest } from '../../../../agent/sip/server/message.ts';
import type { Address } from '../../../../agent/sip/server/transport.ts';
import { FakeClock } from './fake-clock.ts';
import { nothingLeft, openBench, until } from './application.ts';
import { openPeer, request, sdp } from './peer.ts';

const source: Address = { transport: 'udp', address: '192.0.2.1', port: 5_060 };

function requestOf(method: string, agent = 'Yealink'): SipRequest {
  const text = `${method} sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 ${method}\r\nUser-Agent: ${agent}\r\n\r\n`;
  const parsed = parseMessage(Buffer.from(text));
  if (!parsed.ok || parsed.message.kind !== 'request') throw new Error('no request');
  return parsed.message;
}

describe('who is heard', () => {
  it('at most twice the rate at once, and the rate from then on, whatever the schedule', () => {
    const schedule = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 });
    fc.assert(
      fc.property(schedule, fc.integer({ min: 1, max: 20 }), (pauses, perSecond) => {
        const clock = new FakeClock();
        const admission = new Admission(clock, { invitesPerSecond: perSecond });
        let taken = 0;
        for (const pause of pauses) {
          clock.pass(pause);
          if (admission.judge(requestOf('INVITE'), source) === 'take') taken += 1;
        }
        const elapsedMs = pauses.reduce((sum, pause) => sum + pause, 0);
        expect(taken).toBeLessThanOrEqual(2 * perSecond + (elapsedMs / 1_000) * perSecond);
      }),
    );
  });

  it('each source and each kind for itself', () => {
    const admission = new Admission(new FakeClock(), { invitesPerSecond: 1, othersPerSecond: 1 });
    const judge = (method: string, address: string) =>
      admission.judge(requestOf(method), { ...source, address });
    expect([1, 2, 3].map(() => judge('INVITE', '192.0.2.1'))).toEqual(['take', 'take', 'over the rate']);
    expect(judge('OPTIONS', '192.0.2.1')).toBe('take');
    expect(judge('INVITE', '192.0.2.2')).toBe('take');
  });

  it.each(['friendly-scanner', 'SIPVicious v0.3', 'sipcli/v1.8', 'VaxSIPUserAgent/3.5'])(
    'never %s',
    (agent) => {
      expect(new Admission(new FakeClock(), {}).judge(requestOf('OPTIONS', agent), source)).toBe('scanner');
    },
  );
});

describe('a flood', () => {
  it('gets 503 with Retry-After to its excess, and the call that is up notices nothing', async () => {
    await using bench = await openBench(
      { timers: { t1Ms: 20, t2Ms: 160, t4Ms: 100 }, limits: { invitesPerSecond: 5 } },
      (srf) =>
        srf.invite((req, res) => void srf.createUAS(req, res, { localSdp: sdp }).catch(() => undefined)),
    );
    await using caller = await openPeer(bench.port);
    caller.send(request(caller, 'INVITE', { callId: 'up', body: sdp }));
    const toTag = (await caller.next(200)).to.params.get('tag')!;
    caller.send(request(caller, 'ACK', { callId: 'up', toTag }));
    await until(() => bench.server.statistics().timers === 1, 'the ACK');

    const excess = request(caller, 'INVITE', { callId: 'flood-last' });
    for (let call = 0; call < 30; call++) caller.send(request(caller, 'INVITE', { callId: `flood-${call}` }));
    caller.send(excess);
    const refused = await caller.next(
      (one) => one.kind === 'response' && one.callId === 'flood-last' && one.status === 503,
    );
    expect(refused.headers).toContainEqual({ name: 'Retry-After', key: 'retry-after', value: '5' });
    // A repeat of it is the same to us: the same tag.
    caller.send(excess);
    const again = await caller.next(
      (one) => one.kind === 'response' && one.callId === 'flood-last' && one.status === 503,
    );
    expect(again.to.params.get('tag')).toBe(refused.to.params.get('tag'));
    expect(bench.server.statistics().dropped['over the rate']).toBeGreaterThan(15);

    caller.send(request(caller, 'BYE', { callId: 'up', toTag, cseq: 2 }));
    await caller.next((one) => one.kind === 'response' && one.callId === 'up' && one.method === 'BYE');
  });

  it('of a scanner at a known address gets silence', async () => {
    await using bench = await openBench();
    await using peer = await openPeer(bench.port);
    peer.send(request(peer, 'OPTIONS', { headers: ['User-Agent: friendly-scanner'] }));
    await until(() => bench.server.statistics().dropped.scanner === 1, 'the drop');
    expect(peer.received).toHaveLength(0);
    await nothingLeft(bench.server);
  });
});
