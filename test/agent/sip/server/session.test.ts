/** RFC 4028 on each leg by itself: what is agreed on, who refreshes, and what happens when nobody does. */
import { describe, expect, it } from 'vitest';
import type { SipRequest } from '../../../../agent/sip/server/message.ts';
import {
  answerSession,
  proposeSession,
  sessionByAnswer,
} from '../../../../agent/sip/server/session-timer.ts';
import { header, headerOf } from '../../../../agent/sip/server/message.ts';
import { hangUp, nothingLeft, openBench } from './application.ts';
import { FakeClock } from './fake-clock.ts';
import { callIn, callOut } from './in-call.ts';
import type { InCall } from './in-call.ts';
import { openPeer, request, response, sdp } from './peer.ts';

const wish = { expiresSeconds: 1800, minimumSeconds: 90 };
const silent = { expiresSeconds: undefined, minimumSeconds: 90 };

function asking(...lines: [string, string][]): SipRequest {
  return { headers: lines.map(([name, value]) => header(name, value)) } as SipRequest;
}

describe('what is agreed on about the length of a session', () => {
  it.each<
    [string, [string, string][], [string, string][], typeof wish | typeof silent, string | undefined, boolean]
  >([
    ['caller knows no timers', [], [], wish, undefined, false],
    ['caller knows timers, asks for none', [['Supported', 'timer']], [], wish, '1800;refresher=uas', false],
    ['neither wants one', [['Supported', 'timer']], [], silent, undefined, false],
    [
      'caller asks',
      [
        ['Supported', 'timer'],
        ['Session-Expires', '600'],
      ],
      [],
      silent,
      '600;refresher=uac',
      true,
    ],
    [
      'caller asks for more than we',
      [
        ['Supported', 'timer'],
        ['Session-Expires', '7200'],
      ],
      [],
      wish,
      '1800;refresher=uac',
      true,
    ],
    [
      'caller demands more than we ask',
      [
        ['Supported', 'timer'],
        ['Session-Expires', '7200'],
        ['Min-SE', '3600'],
      ],
      [],
      wish,
      '3600;refresher=uac',
      true,
    ],
    [
      'caller wants us to refresh',
      [
        ['Supported', 'timer'],
        ['Session-Expires', '600;refresher=uas'],
      ],
      [],
      wish,
      '600;refresher=uas',
      false,
    ],
    [
      'compact and odd',
      [
        ['Supported', '100rel,timer'],
        ['Session-Expires', ' 600 ; x=y ; Refresher = UAS'],
      ],
      [],
      wish,
      '600;refresher=uas',
      false,
    ],
    [
      'a proxy asks for a caller that cannot',
      [['Session-Expires', '600']],
      [],
      wish,
      '600;refresher=uas',
      false,
    ],
    [
      'the application says',
      [['Supported', 'timer']],
      [['Session-Expires', '120;refresher=uas']],
      wish,
      '120;refresher=uas',
      false,
    ],
    [
      'the application says too little',
      [['Supported', 'timer']],
      [['Session-Expires', '20']],
      wish,
      '90;refresher=uas',
      false,
    ],
  ])('as callee: %s', (_what, asked, given, ours, expected, requires) => {
    const headers = asking(...given).headers;
    answerSession(asking(...asked), headers, ours);
    expect(headerOf({ headers }, 'session-expires')).toBe(expected);
    expect(headerOf({ headers }, 'require')).toBe(requires ? 'timer' : undefined);
  });

  it.each<[string, [string, string][], typeof wish | typeof silent, object | undefined]>([
    [
      'the callee leaves it to us',
      [['Session-Expires', '600;refresher=uac']],
      wish,
      { seconds: 600, refresher: 'us', byProbe: false },
    ],
    [
      'the callee refreshes',
      [['Session-Expires', '600;refresher=uas']],
      wish,
      { seconds: 600, refresher: 'them', byProbe: false },
    ],
    [
      'the callee does not say who',
      [['Session-Expires', '600']],
      wish,
      { seconds: 600, refresher: 'us', byProbe: false },
    ],
    [
      'an interval that nobody may ask for',
      [['Session-Expires', '5;refresher=uac']],
      wish,
      { seconds: 90, refresher: 'us', byProbe: false },
    ],
    ['the callee knows no timers', [], wish, { seconds: 1800, refresher: 'us', byProbe: true }],
    ['nobody wants one', [], silent, undefined],
    ['no number', [['Session-Expires', 'soon']], silent, undefined],
  ])('as caller: %s', (_what, answered, ours, expected) => {
    expect(sessionByAnswer(asking(...answered), ours)).toEqual(expected);
  });

  it('adds to what the application supports, and leaves its own interval alone', () => {
    const { headers } = asking(['Supported', '100rel'], ['Session-Expires', '300;refresher=uas']);
    proposeSession(headers, wish, undefined);
    expect(headers.map(({ name, value }) => `${name}: ${value}`)).toEqual([
      'Supported: 100rel, timer',
      'Session-Expires: 300;refresher=uas',
    ]);
  });
});

/** Lets time pass and the sockets come after it. */
async function pass(clock: FakeClock, seconds: number): Promise<void> {
  clock.pass(seconds * 1_000);
  await new Promise((resolve) => setTimeout(resolve, 20));
}

async function reasonOfEnd({ dialog }: InCall): Promise<string | undefined> {
  const ended = Promise.withResolvers<string | undefined>();
  dialog.on('destroy', (_bye, reason) => ended.resolve(reason));
  return ended.promise;
}

describe('a session of 90 seconds on a fake clock', () => {
  const start = (expiresSeconds?: number) => {
    const clock = new FakeClock();
    return { clock, options: { clock, session: { expiresSeconds } } };
  };
  const timed = (refresher: string, allow = '') => ({
    headers: [
      'Supported: timer',
      `Session-Expires: 90;refresher=${refresher}`,
      ...(allow === '' ? [] : [`Allow: ${allow}`]),
    ],
  });

  it('is refreshed by UPDATE at half time, three times, and the application hears nothing', async () => {
    const { clock, options } = start(90);
    await using call = await callOut(options, timed('uac', 'INVITE, ACK, BYE, UPDATE'));
    expect(headerOf(call.invite, 'session-expires')).toBe('90');
    expect(headerOf(call.invite, 'supported')).toBe('timer');
    for (let round = 0; round < 3; round++) {
      await pass(clock, 45);
      const update = await call.peer.fresh('UPDATE');
      expect(headerOf(update, 'session-expires')).toBe('90;refresher=uac');
      expect(update.body).toBe('');
      call.peer.send(response(call.peer, update, 200, timed('uac')));
      await pass(clock, 0);
    }
    expect(call.dialog.connected).toBe(true);
    await endAtOnce(call, clock);
  });

  it('is refreshed by re-INVITE with the description as it was where the peer allows no UPDATE', async () => {
    const { clock, options } = start(90);
    await using call = await callOut(options, timed('uac', 'INVITE, ACK, BYE'));
    let modified = 0;
    call.dialog.on('modify', () => (modified += 1));
    await pass(clock, 45);
    const again = await call.peer.fresh('INVITE');
    expect(again.body).toBe(sdp);
    expect(headerOf(again, 'session-expires')).toBe('90;refresher=uac');
    call.peer.send(response(call.peer, again, 200, { body: sdp, ...timed('uac') }));
    expect((await call.peer.fresh('ACK')).cseq).toBe(again.cseq);
    await pass(clock, 0);
    await pass(clock, 45);
    call.peer.send(response(call.peer, await call.peer.fresh('INVITE'), 488, { contact: false }));
    await call.peer.fresh('ACK');
    await pass(clock, 45);
    expect(call.dialog.connected).toBe(true);
    expect(modified).toBe(0);
    await call.peer.fresh('INVITE');
    await endAtOnce(call, clock);
  });

  it('is asked for by OPTIONS where the peer knows no timers: an answer of any kind is a sign of life', async () => {
    const { clock, options } = start(90);
    await using call = await callOut(options);
    await pass(clock, 45);
    call.peer.send(response(call.peer, await call.peer.fresh('OPTIONS'), 405));
    await pass(clock, 0);
    await pass(clock, 45);
    const ended = reasonOfEnd(call);
    await call.peer.fresh('OPTIONS');
    await pass(clock, 33);
    expect(await ended).toBe('no answer to a session refresh');
    await endOfBye(call, clock);
  });

  it('that we refresh has the whole time of the refresh: who answers late keeps the call, who never does loses it', async () => {
    const { clock, options } = start(90);
    await using call = await callOut(options, timed('uac', 'INVITE, ACK, BYE, UPDATE'));
    await pass(clock, 45);
    const late = await call.peer.fresh('UPDATE');
    await pass(clock, 30);
    expect(call.dialog.connected).toBe(true);
    call.peer.send(response(call.peer, late, 200, timed('uac')));
    await pass(clock, 0);
    await pass(clock, 45);
    const ended = reasonOfEnd(call);
    await call.peer.fresh('UPDATE');
    await pass(clock, 33);
    expect(await ended).toBe('no answer to a session refresh');
    await endOfBye(call, clock);
  });

  it('that the peer was to refresh, and did not, ends slightly before its end; the application is told', async () => {
    const { clock, options } = start();
    await using call = await callIn(options, { headers: ['Supported: timer', 'Session-Expires: 90'] });
    expect(headerOf(call.answer, 'session-expires')).toBe('90;refresher=uac');
    expect(headerOf(call.answer, 'require')).toBe('timer');
    const ended = reasonOfEnd(call);
    await pass(clock, 59);
    expect(call.peer.received.some((one) => one.method === 'BYE')).toBe(false);
    await pass(clock, 1);
    expect(await ended).toBe('Session timer expired');
    await endOfBye(call, clock);
  });

  it('goes on with each refresh of the peer, by UPDATE or re-INVITE', async () => {
    const { clock, options } = start();
    await using call = await callIn(options, { headers: ['Supported: timer', 'Session-Expires: 90'] });
    const headers = ['Supported: timer', 'Session-Expires: 90;refresher=uac'];
    await pass(clock, 55);
    call.peer.send(request(call.peer, 'UPDATE', { ...call.within, cseq: 2, headers }));
    const updated = await call.peer.fresh((one) => one.kind === 'response' && one.method === 'UPDATE');
    expect(headerOf(updated, 'session-expires')).toBe('90;refresher=uac');
    await pass(clock, 55);
    call.peer.send(request(call.peer, 'INVITE', { ...call.within, cseq: 3, headers, body: sdp }));
    await call.peer.fresh((one) => one.kind === 'response' && one.cseq === 3 && one.status === 200);
    call.peer.send(request(call.peer, 'ACK', { ...call.within, cseq: 3 }));
    await pass(clock, 0);
    await pass(clock, 55);
    expect(call.dialog.connected).toBe(true);
    await endAtOnce(call, clock);
  });

  it('that crosses another request of ours waits its turn, and after 491 tries again', async () => {
    const { clock, options } = start(90);
    await using call = await callOut(options, timed('uac', 'UPDATE'));
    await pass(clock, 45);
    call.peer.send(response(call.peer, await call.peer.fresh('UPDATE'), 491));
    await pass(clock, 0);
    await pass(clock, 4);
    call.peer.send(response(call.peer, await call.peer.fresh('UPDATE'), 422, { headers: ['Min-SE: 200'] }));
    const longer = await call.peer.fresh((one) => headerOf(one, 'session-expires') === '200;refresher=uac');
    call.peer.send(response(call.peer, longer, 405));
    expect((await call.peer.fresh('INVITE')).body).toBe(sdp);
    await endAtOnce(call, clock);
  });

  it('ends at once where the peer says that it knows no such dialog', async () => {
    const { clock, options } = start(90);
    await using call = await callOut(options, timed('uac', 'UPDATE'));
    const ended = reasonOfEnd(call);
    await pass(clock, 45);
    call.peer.send(response(call.peer, await call.peer.fresh('UPDATE'), 481));
    expect(await ended).toBe('no answer to a session refresh');
    await endOfBye(call, clock);
  });
});

describe('422', () => {
  it('is said to who asks for less than 90 seconds and would understand', async () => {
    await using bench = await openBench({}, (srf) => {
      srf.invite((_req, res) => res.send(486));
    });
    await using peer = await openPeer(bench.port);
    const headers = ['Supported: timer', 'Session-Expires: 60'];
    peer.send(request(peer, 'INVITE', { headers }));
    expect(headerOf(await peer.fresh(422), 'min-se')).toBe('90');
    peer.send(request(peer, 'INVITE', { headers: headers.slice(1) }));
    await peer.fresh(486);
  });

  it('is heard by the server alone: it asks again for longer, and the call goes on', async () => {
    await using bench = await openBench({ session: { expiresSeconds: 100 } });
    await using peer = await openPeer(bench.port);
    const statuses: number[] = [];
    const result = bench.srf.createUAC(
      `sip:200@127.0.0.1:${peer.port}`,
      { localSdp: sdp },
      { cbProvisional: ({ status }) => statuses.push(status) },
    );
    const first = await peer.fresh('INVITE');
    peer.send(response(peer, first, 422, { headers: ['Min-SE: 400'], contact: false }));
    expect((await peer.fresh('ACK')).cseq).toBe(first.cseq);
    const second = await peer.fresh('INVITE');
    expect(second.cseq).toBe(first.cseq + 1);
    expect(second.callId).toBe(first.callId);
    expect(headerOf(second, 'session-expires')).toBe('400');
    expect(headerOf(second, 'min-se')).toBe('400');
    expect(second.via.params.get('branch')).not.toBe(first.via.params.get('branch'));
    peer.send(response(peer, second, 183, { body: sdp, headers: ['Require: 100rel', 'RSeq: 5'] }));
    const prack = await peer.fresh('PRACK');
    expect(headerOf(prack, 'rack')).toBe(`5 ${second.cseq} INVITE`);
    peer.send(response(peer, prack, 200));
    peer.send(response(peer, second, 200, { body: sdp }));
    const dialog = await result;
    expect((await peer.fresh('ACK')).cseq).toBe(second.cseq);
    expect(statuses).toEqual([183]);
    const gone = hangUp(dialog);
    peer.send(response(peer, await peer.fresh('BYE'), 200));
    await gone;
  });
});

async function endAtOnce(call: InCall, clock: FakeClock): Promise<void> {
  const gone = hangUp(call.dialog);
  call.peer.send(response(call.peer, await call.peer.fresh('BYE'), 200));
  await gone;
  clock.pass(40_000);
  await nothingLeft(call.bench.server);
}

async function endOfBye(call: InCall, clock: FakeClock): Promise<void> {
  call.peer.send(response(call.peer, await call.peer.fresh('BYE'), 200));
  await pass(clock, 40);
  await nothingLeft(call.bench.server);
}
