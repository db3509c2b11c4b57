import { describe, expect, it } from 'vitest';
import Srf from 'drachtio-srf';
import type { SrfRequest } from 'drachtio-srf';
import { headerOf } from '../../../../agent/sip/server/message.ts';
import type { SipRequest } from '../../../../agent/sip/server/message.ts';
import { hangUp, nothingLeft, openBench, until } from './application.ts';
import { openPeer, request, response, sdp } from './peer.ts';

const quick = { timers: { t1Ms: 20, t2Ms: 160, t4Ms: 100 } };

/** Calls the peer and gives the INVITE as it arrived there. */
async function calling(options = quick) {
  const bench = await openBench(options);
  const peer = await openPeer(bench.port);
  const sent: { request?: SrfRequest } = {};
  const provisional: number[] = [];
  const result = bench.srf.createUAC(
    `sip:200@127.0.0.1:${peer.port}`,
    {
      localSdp: sdp,
      callingNumber: '33199000001',
      headers: { 'X-Campaign': 'a', 'p-asserted-identity': 'sip:9@localhost' },
    },
    {
      cbRequest: (error, req) => {
        if (!error) sent.request = req;
      },
      cbProvisional: ({ status }) => provisional.push(status),
    },
  );
  result.catch(() => undefined);
  const invite = (await peer.next('INVITE')) as SipRequest;
  return {
    bench,
    peer,
    sent,
    provisional,
    result,
    invite,
    [Symbol.asyncDispose]: async () => {
      await peer[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}

describe('an INVITE of the application', () => {
  it('goes out complete: what the application left out is added, @localhost is our address', async () => {
    await using call = await calling();
    const { invite, bench, peer, sent } = call;
    const own = `127.0.0.1:${bench.port}`;
    expect(invite.uri).toBe(`sip:200@127.0.0.1:${peer.port}`);
    expect(invite.from.uri).toBe(`sip:33199000001@${own}`);
    expect(headerOf(invite, 'contact')).toBe(`<sip:33199000001@${own}>`);
    expect(headerOf(invite, 'p-asserted-identity')).toBe(`sip:9@${own}`);
    expect(headerOf(invite, 'to')).toBe(`<sip:200@127.0.0.1:${peer.port}>`);
    expect(headerOf(invite, 'content-type')).toBe('application/sdp');
    expect(headerOf(invite, 'x-campaign')).toBe('a');
    expect(headerOf(invite, 'max-forwards')).toBe('70');
    expect(invite.via.params.get('branch')).toMatch(/^z9hG4bK[0-9a-f]{32}$/u);
    expect(invite.body).toBe(sdp);
    expect(sent.request?.get('call-id')).toBe(invite.callId);
  });

  it('is sent again until something comes back, then no more', async () => {
    await using call = await calling();
    const { peer, invite, result } = call;
    expect(await peer.next('INVITE')).toEqual(invite);
    peer.send(response(peer, invite, 486, { contact: false }));
    await expect(result).rejects.toMatchObject({ status: 486 });
    expect((await peer.next('ACK')).to.params.get('tag')).toBe('answerer');
    await nothingLeft(call.bench.server);
  });

  it('hears of nothing within 64*T1 as 408', async () => {
    await using call = await calling();
    await expect(call.result).rejects.toMatchObject({ status: 408 });
    await nothingLeft(call.bench.server);
  });

  it('to a port where nobody listens ends with 503 as soon as the system says so', async () => {
    await using bench = await openBench(quick);
    const gone = await openPeer(bench.port);
    await gone[Symbol.asyncDispose]();
    const failure = bench.srf.createUAC(`sip:1@127.0.0.1:${gone.port}`, { localSdp: sdp });
    await expect(failure).rejects.toMatchObject({ status: 503 });
    await nothingLeft(bench.server);
  });

  it('to a host that has no address ends with 503', async () => {
    await using bench = await openBench(quick);
    const failure = bench.srf.createUAC('sip:1@host.invalid', { localSdp: sdp });
    await expect(failure).rejects.toMatchObject({ status: 503 });
  });

  it('is refused by name where it cannot be sent at all', async () => {
    await using bench = await openBench(quick);
    const to = (uri: string) => bench.srf.createUAC(uri, { localSdp: sdp });
    await expect(to('sips:1@127.0.0.1')).rejects.toThrow('requested protocol/transport not available');
    await expect(to('sip:1@127.0.0.1;transport=tcp')).rejects.toThrow(
      'requested protocol/transport not available',
    );
    await expect(to(bench.uri)).rejects.toThrow('can not send request to myself');
  });

  it('is cancelled only after the first provisional response', async () => {
    await using call = await calling();
    const { peer, invite, sent, result } = call;
    await until(() => sent.request !== undefined, 'the echo');
    const echoed = new Promise((resolve) => sent.request?.cancel(resolve));
    expect(await echoed).toBeNull();
    expect(peer.received.some((one) => one.method === 'CANCEL')).toBe(false);
    peer.send(response(peer, invite, 180));
    const cancel = await peer.next('CANCEL');
    expect(cancel.via.params.get('branch')).toBe(invite.via.params.get('branch'));
    expect(cancel.cseq).toBe(invite.cseq);
    peer.send(response(peer, cancel, 200));
    peer.send(response(peer, invite, 487));
    await expect(result).rejects.toMatchObject({ status: 487 });
    await peer.next('ACK');
    await nothingLeft(call.bench.server);
  });

  it('that is answered although cancelled is acknowledged and hung up on, and the application is told', async () => {
    await using call = await calling();
    const { peer, invite, sent, result } = call;
    peer.send(response(peer, invite, 180));
    await until(() => call.provisional.length === 1, '180');
    sent.request?.cancel();
    await peer.next('CANCEL');
    peer.send(response(peer, invite, 200, { body: sdp }));
    const dialog = await result;
    let why: string | undefined;
    dialog.on('destroy', (_bye, reason) => (why = reason));
    await peer.next('ACK');
    peer.send(response(peer, await peer.next('BYE'), 200));
    await until(() => why !== undefined || !dialog.connected, 'the end');
    expect(why).toBe('ACK-BYE due to cancel race condition');
    await nothingLeft(call.bench.server);
  });

  it('that is cancelled and never finally answered is given up after 64*T1', async () => {
    await using call = await calling();
    const { peer, invite, sent, result } = call;
    peer.send(response(peer, invite, 180));
    await until(() => call.provisional.length === 1, '180');
    sent.request?.cancel();
    await expect(result).rejects.toMatchObject({ status: 487 });
    await nothingLeft(call.bench.server);
  });
});

describe('an answer from the far end', () => {
  it('is acknowledged again each time it comes again', async () => {
    await using call = await calling();
    const { peer, invite, result } = call;
    const answer = response(peer, invite, 200, { body: sdp });
    peer.send(answer);
    const ack = await peer.next('ACK');
    peer.send(answer);
    expect(await peer.next('ACK')).toEqual(ack);
    expect(ack.cseq).toBe(invite.cseq);
    const over = hangUp(await result);
    const bye = await peer.next('BYE');
    expect(bye.cseq).toBe(invite.cseq + 1);
    peer.send(response(peer, bye, 200));
    await over;
    await nothingLeft(call.bench.server);
  });

  it('from a second branch is acknowledged and hung up on; the first stays', async () => {
    await using call = await calling();
    const { peer, invite, result } = call;
    peer.send(response(peer, invite, 180, { toTag: 'one' }));
    peer.send(response(peer, invite, 180, { toTag: 'two' }));
    peer.send(response(peer, invite, 200, { toTag: 'two', body: sdp }));
    const dialog = await result;
    await peer.next('ACK');
    peer.send(response(peer, invite, 200, { toTag: 'one', body: sdp }));
    expect((await peer.next('ACK')).to.params.get('tag')).toBe('one');
    const bye = await peer.next('BYE');
    expect(bye.to.params.get('tag')).toBe('one');
    peer.send(response(peer, bye, 200));
    expect(dialog.connected).toBe(true);
    expect(dialog.sip.remoteTag).toBe('two');
    expect(call.bench.server.statistics().dialogs).toBe(1);
    const over = hangUp(dialog);
    peer.send(response(peer, await peer.next('BYE'), 200));
    await over;
    await nothingLeft(call.bench.server);
  });

  it('without Contact is acknowledged and hung up on: nobody could speak to it again', async () => {
    await using call = await calling();
    const { peer, invite, result } = call;
    peer.send(response(peer, invite, 200, { body: sdp, contact: false }));
    await expect(result).rejects.toMatchObject({ status: 500 });
    await peer.next('ACK');
    peer.send(response(peer, await peer.next('BYE'), 200));
    await nothingLeft(call.bench.server);
  });

  it('that the application does not acknowledge is acknowledged and hung up on after 64*T1', async () => {
    await using bench = await openBench(quick);
    await using peer = await openPeer(bench.port);
    const offered = bench.srf.createUAC(`sip:200@127.0.0.1:${peer.port}`, { noAck: true });
    peer.send(response(peer, await peer.next('INVITE'), 200, { body: sdp }));
    expect((await offered).sdp).toBe(sdp);
    await peer.next('ACK');
    peer.send(response(peer, await peer.next('BYE'), 200));
    await nothingLeft(bench.server);
  });

  it('sets the way of all later requests: Record-Route reversed, and strict routers as RFC 3261 section 12.2.1.1 says', async () => {
    await using call = await calling();
    const { peer, invite, result, bench } = call;
    await using proxy = await openPeer(bench.port);
    const headers = ['Record-Route: <sip:192.0.2.9>', `Record-Route: <sip:127.0.0.1:${proxy.port};lr>`];
    peer.send(response(peer, invite, 200, { body: sdp, headers }));
    await result;
    const ack = (await proxy.next('ACK')) as SipRequest;
    expect(ack.uri).toBe(`sip:peer@127.0.0.1:${peer.port}`);
    expect(ack.headers.filter(({ key }) => key === 'route').map(({ value }) => value)).toEqual([
      `<sip:127.0.0.1:${proxy.port};lr>`,
      '<sip:192.0.2.9>',
    ]);
    const over = hangUp(await result);
    proxy.send(response(proxy, await proxy.next('BYE'), 200));
    await over;
    await nothingLeft(bench.server);
  });

  it('comes from elsewhere than its Contact says: later requests go to where it came from', async () => {
    await using call = await calling();
    const { peer, invite, result } = call;
    const natted = response(peer, invite, 200, {
      body: sdp,
      contact: false,
      headers: ['Contact: <sip:x@192.0.2.7:5060>'],
    });
    peer.send(natted);
    expect((await peer.next('ACK')) as SipRequest).toMatchObject({ uri: 'sip:x@192.0.2.7:5060' });
    const over = hangUp(await result);
    peer.send(response(peer, await peer.next('BYE'), 200));
    await over;
    await nothingLeft(call.bench.server);
  });

  it('may be provisional and reliable: PRACK goes out with the next CSeq, the ACK keeps that of the INVITE', async () => {
    await using call = await calling();
    const { peer, invite, result } = call;
    peer.send(response(peer, invite, 183, { body: sdp, headers: ['Require: 100rel', 'RSeq: 71'] }));
    const prack = await peer.next('PRACK');
    expect(headerOf(prack, 'rack')).toBe(`71 ${invite.cseq} INVITE`);
    expect(prack.cseq).toBe(invite.cseq + 1);
    peer.send(response(peer, prack, 200));
    peer.send(response(peer, invite, 200, { body: sdp }));
    expect((await peer.next('ACK')).cseq).toBe(invite.cseq);
    const over = hangUp(await result);
    const bye = await peer.next('BYE');
    expect(bye.cseq).toBe(invite.cseq + 2);
    peer.send(response(peer, bye, 200));
    await over;
    await nothingLeft(call.bench.server);
  });
});

describe('a dialog that the application made', () => {
  it('passes requests both ways, and keeps a re-INVITE through its provisional responses', async () => {
    await using call = await calling();
    const { peer, invite, result, bench } = call;
    peer.send(response(peer, invite, 200, { body: sdp }));
    const dialog = await result;
    await peer.next('ACK');
    const heard: string[] = [];
    dialog.on('info', (_req, res) => {
      heard.push('info');
      res.send(200);
    });
    const within = { callId: invite.callId, fromTag: 'answerer', toTag: invite.from.params.get('tag')! };
    peer.send(request(peer, 'INFO', { ...within, cseq: 1 }));
    await peer.next((one) => one.kind === 'response' && one.method === 'INFO' && one.status === 200);
    expect(heard).toEqual(['info']);

    const reply = dialog.request({
      method: 'MESSAGE',
      headers: { 'Content-Type': 'text/plain' },
      body: 'été',
    });
    const message = await peer.fresh('MESSAGE');
    expect(Buffer.from(message.body, 'latin1').toString('utf8')).toBe('été');
    peer.send(response(peer, message, 202));
    expect((await reply).status).toBe(202);

    const modified = dialog.modify(sdp);
    const again = await peer.fresh('INVITE');
    peer.send(response(peer, again, 183, { body: sdp }));
    peer.send(response(peer, again, 200, { body: sdp }));
    expect(await modified).toBe(sdp);
    await peer.next('ACK');

    peer.send(request(peer, 'BYE', { ...within, cseq: 2 }));
    await until(() => !dialog.connected, 'the end');
    await expect(dialog.request({ method: 'INFO' })).rejects.toMatchObject({ code: 'ENODIALOG' });
    await nothingLeft(bench.server);
  });

  it('that both sides end at once ends once', async () => {
    await using call = await calling();
    const { peer, invite, result, bench } = call;
    peer.send(response(peer, invite, 200, { body: sdp }));
    const dialog = await result;
    await peer.next('ACK');
    const over = hangUp(dialog);
    const bye = await peer.next('BYE');
    const within = { callId: invite.callId, fromTag: 'answerer', toTag: invite.from.params.get('tag')! };
    peer.send(request(peer, 'BYE', { ...within, cseq: 1 }));
    expect(await peer.next((one) => one.kind === 'response')).toMatchObject({ status: 200 });
    peer.send(response(peer, bye, 481));
    await over;
    await nothingLeft(bench.server);
  });
});

describe('an application that is lost', () => {
  it('leaves no call behind: what rings is cancelled, what is answered later is hung up on', async () => {
    await using call = await calling();
    const { peer, invite, bench } = call;
    peer.send(response(peer, invite, 180));
    await until(() => call.provisional.length === 1, '180');
    bench.srf.disconnect();
    await peer.next('CANCEL');
    peer.send(response(peer, invite, 200, { body: sdp }));
    await peer.next('ACK');
    peer.send(response(peer, await peer.next('BYE'), 200));
    await nothingLeft(bench.server);
  });
});

describe('a request outside any dialog', () => {
  it('is sent, and its response delivered', async () => {
    await using bench = await openBench(quick);
    await using peer = await openPeer(bench.port);
    const sent = await bench.srf.request(`sip:127.0.0.1:${peer.port}`, { method: 'OPTIONS' });
    const answered = new Promise<number>((resolve) => sent.on('response', ({ status }) => resolve(status)));
    peer.send(response(peer, await peer.next('OPTIONS'), 200));
    expect(await answered).toBe(200);
    await nothingLeft(bench.server);
  });

  it('is a typed error of drachtio-srf where it fails', () => {
    expect(new Srf.SipError(486, 'Busy Here')).toBeInstanceOf(Error);
  });
});
