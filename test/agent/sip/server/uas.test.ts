import { describe, expect, it } from 'vitest';
import type Srf from 'drachtio-srf';
import type { Dialog, SrfRequest, SrfResponse } from 'drachtio-srf';
import { startSipServer } from '../../../../agent/sip/server/server.ts';
import { headerOf } from '../../../../agent/sip/server/message.ts';
import { hangUp, nothingLeft, openBench, until } from './application.ts';
import { openPeer, request, response, sdp } from './peer.ts';

const quick = { timers: { t1Ms: 20, t2Ms: 160, t4Ms: 100 } };

/** An application that answers every call and keeps the dialogs. */
async function answering() {
  const dialogs: Dialog[] = [];
  const bench = await openBench(quick, (srf) => {
    srf.invite((req, res) => {
      void srf.createUAS(req, res, { localSdp: sdp }).then((dialog) => dialogs.push(dialog));
    });
  });
  return { ...bench, dialogs };
}

async function ringing(seen: (req: SrfRequest, res: SrfResponse, srf: Srf) => void) {
  return openBench(quick, (srf) => {
    srf.invite((req, res) => seen(req, res, srf));
  });
}

describe('what the server answers by itself', () => {
  it.each<[string, Parameters<typeof request>[1], Parameters<typeof request>[2], number]>([
    ['an INVITE without Contact', 'INVITE', { contact: false }, 400],
    ['a request that may not be forwarded', 'INVITE', { maxForwards: 0 }, 483],
    ['a BYE outside a dialog', 'BYE', {}, 481],
    ['an UPDATE outside a dialog', 'UPDATE', {}, 481],
    ['a CANCEL of nothing', 'CANCEL', {}, 481],
    ['an INVITE in a dialog that is not there', 'INVITE', { toTag: 'gone' }, 481],
    ['an INFO in a dialog that is not there', 'INFO', { toTag: 'gone' }, 481],
    ['a REFER that nobody asked for', 'REFER', {}, 405],
    ['a method of no standard', 'JUMP', {}, 501],
    ['an INVITE with two From headers', 'INVITE', { headers: ['From: <sip:other@127.0.0.1>;tag=2'] }, 400],
    ['an INVITE shorter than it says', 'INVITE', { headers: ['X-Long: 1', 'Content-Length: 5000'] }, 400],
  ])('%s', async (_what, method, writing, status) => {
    await using bench = await answering();
    await using peer = await openPeer(bench.port);
    peer.send(request(peer, method, writing));
    const answer = await peer.next((message) => message.kind === 'response' && message.status >= 200);
    expect(answer).toMatchObject({ status });
    expect(bench.dialogs).toHaveLength(0);
  });

  it('503 with Retry-After while no application is connected, and while it takes no new calls', async () => {
    const server = await startSipServer({
      listen: [{ transport: 'udp', address: '127.0.0.1', port: 0 }],
      accept: () => true,
    });
    await using peer = await openPeer(server.addresses[0]!.port);
    peer.send(request(peer, 'INVITE'));
    expect(headerOf(await peer.next(503), 'retry-after')).toBe('5');
    await server.close();

    await using bench = await answering();
    bench.server.refuseNew(17);
    await using other = await openPeer(bench.port);
    other.send(request(other, 'INVITE'));
    expect(headerOf(await other.next(503), 'retry-after')).toBe('17');
  });

  it('nothing at all to a source that is not accepted, and counts it', async () => {
    const events: string[] = [];
    await using bench = await openBench({
      ...quick,
      accept: () => false,
      onEvent: ({ kind }) => events.push(kind),
    });
    await using peer = await openPeer(bench.port);
    peer.send(request(peer, 'OPTIONS'));
    await until(() => bench.server.statistics().dropped['unknown source'] === 1, 'the drop');
    expect(peer.received).toHaveLength(0);
    expect(events).toContain('dropped');
  });

  it('482 to the same INVITE that comes a second way', async () => {
    await using bench = await ringing(() => undefined);
    await using peer = await openPeer(bench.port);
    peer.send(request(peer, 'INVITE', { callId: 'merged', branch: 'z9hG4bKone' }));
    peer.send(request(peer, 'INVITE', { callId: 'merged', branch: 'z9hG4bKtwo' }));
    expect((await peer.next(482)).via.params.get('branch')).toBe('z9hG4bKtwo');
  });

  it('500 to an INVITE and to an OPTIONS that the application never answers', async () => {
    await using bench = await openBench({ timers: { t1Ms: 5, t2Ms: 40, t4Ms: 50 } }, (srf) => {
      srf.invite(() => undefined);
      srf.options(() => undefined);
    });
    await using peer = await openPeer(bench.port);
    peer.send(request(peer, 'INVITE'));
    peer.send(request(peer, 'OPTIONS'));
    await peer.next(
      (message) => message.kind === 'response' && message.status === 500 && message.method === 'INVITE',
    );
    await peer.next(
      (message) => message.kind === 'response' && message.status === 500 && message.method === 'OPTIONS',
    );
    await nothingLeft(bench.server);
  });
});

describe('an INVITE on its way to an answer', () => {
  it('gets 100 once, and again when it comes again, without the application hearing twice', async () => {
    let heard = 0;
    await using bench = await ringing(() => (heard += 1));
    await using peer = await openPeer(bench.port);
    const invite = request(peer, 'INVITE', { body: sdp });
    peer.send(invite);
    await peer.next(100);
    peer.send(invite);
    await peer.next(100);
    expect(heard).toBe(1);
  });

  it('is cancelled: 200 to CANCEL, 487 to INVITE, and the application is told', async () => {
    let cancelled = 0;
    await using bench = await ringing((req) => void req.on('cancel', () => (cancelled += 1)));
    await using peer = await openPeer(bench.port);
    const facts = { callId: 'cancelled', branch: 'z9hG4bKcancel' };
    peer.send(request(peer, 'INVITE', facts));
    await peer.next(100);
    peer.send(request(peer, 'CANCEL', facts));
    expect((await peer.next(200)).method).toBe('CANCEL');
    const refused = await peer.next(487);
    peer.send(request(peer, 'ACK', { ...facts, toTag: refused.to.params.get('tag')! }));
    await until(() => cancelled === 1, 'the CANCEL');
    await nothingLeft(bench.server);
  });

  it('is refused: the response comes again until its ACK', async () => {
    await using bench = await ringing((_req, res) => res.send(486));
    await using peer = await openPeer(bench.port);
    const facts = { callId: 'refused', branch: 'z9hG4bKrefused' };
    peer.send(request(peer, 'INVITE', facts));
    const busy = await peer.next(486);
    await peer.next(486);
    peer.send(request(peer, 'ACK', { ...facts, toTag: busy.to.params.get('tag')! }));
    await nothingLeft(bench.server);
  });

  it('is answered reliably: RSeq, again until PRACK, refused to who cannot', async () => {
    const sent: (Error | string | null)[] = [];
    await using bench = await ringing((req, res, srf) => {
      const headers = { Require: '100rel' };
      const callback = (error: Error | string | null): void => void sent.push(error);
      res.send(183, 'Session Progress', { headers, body: sdp }, callback, () => {
        void srf.createUAS(req, res, { localSdp: sdp });
      });
    });
    await using peer = await openPeer(bench.port);
    const facts = { callId: 'reliable', headers: ['Supported: 100rel'] };
    peer.send(request(peer, 'INVITE', facts));
    const progress = await peer.next(183);
    const rseq = headerOf(progress, 'rseq') ?? '';
    expect(headerOf(await peer.next(183), 'rseq')).toBe(rseq);
    const toTag = progress.to.params.get('tag')!;
    peer.send(request(peer, 'PRACK', { ...facts, toTag, cseq: 2, headers: [`RAck: ${rseq} 9 INVITE`] }));
    await peer.next(481);
    peer.send(request(peer, 'PRACK', { ...facts, toTag, cseq: 3, headers: [`RAck: ${rseq} 1 INVITE`] }));
    const answers = [await peer.next(200), await peer.next(200)];
    expect(answers.map(({ method }) => method).sort()).toEqual(['INVITE', 'PRACK']);
    peer.send(request(peer, 'ACK', { ...facts, toTag }));
    peer.send(request(peer, 'BYE', { ...facts, toTag, cseq: 4 }));
    await nothingLeft(bench.server);

    peer.send(request(peer, 'INVITE', { callId: 'unreliable' }));
    await until(() => sent.length === 2, 'the second attempt');
    expect(sent).toEqual([null, 'Remote endpoint does not support 100rel']);
  });
});

describe('an answered call', () => {
  it('repeats its 200 until the ACK comes', async () => {
    await using bench = await answering();
    await using peer = await openPeer(bench.port);
    peer.send(request(peer, 'INVITE', { callId: 'a', body: sdp }));
    const first = await peer.next(200);
    expect(await peer.next(200)).toEqual(first);
    const toTag = first.to.params.get('tag')!;
    peer.send(request(peer, 'ACK', { callId: 'a', toTag }));
    peer.send(request(peer, 'BYE', { callId: 'a', toTag, cseq: 2 }));
    expect(
      await peer.next((message) => message.kind === 'response' && message.method === 'BYE'),
    ).toMatchObject({ status: 200 });
    await nothingLeft(bench.server);
  });

  it('whose ACK never comes is hung up on after 64*T1, and the application is told why', async () => {
    await using bench = await answering();
    await using peer = await openPeer(bench.port);
    let reason: string | undefined;
    peer.send(request(peer, 'INVITE', { callId: 'b' }));
    await until(() => bench.dialogs.length === 1, 'the dialog');
    bench.dialogs[0]!.on('destroy', (_bye, why) => (reason = why));
    const bye = await peer.next('BYE');
    peer.send(response(peer, bye, 200));
    await until(() => reason !== undefined, 'the end');
    expect(reason).toBe('ACK timeout');
    await nothingLeft(bench.server);
  });

  it('holds the BYE of the application until the ACK has come (RFC 3261 section 15)', async () => {
    await using bench = await answering();
    await using peer = await openPeer(bench.port);
    peer.send(request(peer, 'INVITE', { callId: 'c' }));
    const answer = await peer.next(200);
    await until(() => bench.dialogs.length === 1, 'the dialog');
    const over = hangUp(bench.dialogs[0]!);
    await peer.next(200);
    expect(peer.received.some((message) => message.kind === 'request')).toBe(false);
    peer.send(request(peer, 'ACK', { callId: 'c', toTag: answer.to.params.get('tag')! }));
    peer.send(response(peer, await peer.next('BYE'), 200));
    await over;
    await nothingLeft(bench.server);
  });

  it('refuses a CSeq that went back, and a second re-INVITE while the first is open', async () => {
    await using bench = await answering();
    await using peer = await openPeer(bench.port);
    peer.send(request(peer, 'INVITE', { callId: 'd', cseq: 10, body: sdp }));
    const toTag = (await peer.next(200)).to.params.get('tag')!;
    peer.send(request(peer, 'ACK', { callId: 'd', cseq: 10, toTag }));
    peer.send(request(peer, 'INFO', { callId: 'd', cseq: 9, toTag }));
    expect((await peer.next(500)).cseq).toBe(9);
    await until(() => bench.dialogs.length === 1, 'the dialog');
    let open: SrfResponse | undefined;
    bench.dialogs[0]!.on('modify', (_req, res) => (open = res));
    peer.send(request(peer, 'INVITE', { callId: 'd', cseq: 11, toTag, body: sdp }));
    await until(() => open !== undefined, 're-INVITE');
    peer.send(request(peer, 'INVITE', { callId: 'd', cseq: 12, toTag, body: sdp }));
    expect((await peer.next(500)).cseq).toBe(12);
    open?.send(183);
    open?.send(200, { body: sdp });
    // Not the 200 of the first INVITE, which a busy machine may have sent twice.
    await peer.next(
      ({ kind, cseq, ...rest }) =>
        kind === 'response' && 'status' in rest && rest.status === 200 && cseq === 11,
    );
    peer.send(request(peer, 'ACK', { callId: 'd', cseq: 11, toTag }));
    peer.send(request(peer, 'BYE', { callId: 'd', cseq: 13, toTag }));
    await nothingLeft(bench.server);
  });

  it('says 491 to a re-INVITE that crosses ours', async () => {
    await using bench = await answering();
    await using peer = await openPeer(bench.port);
    peer.send(request(peer, 'INVITE', { callId: 'e', body: sdp }));
    const toTag = (await peer.next(200)).to.params.get('tag')!;
    peer.send(request(peer, 'ACK', { callId: 'e', toTag }));
    await until(() => bench.dialogs.length === 1, 'the dialog');
    const dialog = bench.dialogs[0]!;
    const modified = dialog.request({ method: 'INVITE', body: sdp });
    const ours = await peer.next('INVITE');
    peer.send(request(peer, 'INVITE', { callId: 'e', cseq: 2, toTag, body: sdp }));
    expect((await peer.next(491)).cseq).toBe(2);
    const glare = await dialog.request({ method: 'INVITE', body: sdp });
    expect(glare.status).toBe(491);
    peer.send(response(peer, ours, 491, { contact: false }));
    expect((await modified).status).toBe(491);
    await peer.next('ACK');
    const over = hangUp(dialog);
    peer.send(response(peer, await peer.next('BYE'), 200));
    await over;
    await nothingLeft(bench.server);
  });

  it('sends later requests along the Record-Route of the INVITE', async () => {
    await using bench = await answering();
    await using peer = await openPeer(bench.port);
    await using proxy = await openPeer(bench.port);
    const route = `<sip:127.0.0.1:${proxy.port};lr>`;
    peer.send(
      request(peer, 'INVITE', {
        callId: 'f',
        headers: [`Record-Route: ${route}`, 'Record-Route: <sip:192.0.2.1;lr>'],
      }),
    );
    const answer = await peer.next(200);
    expect(answer.headers.filter(({ key }) => key === 'record-route').map(({ value }) => value)).toEqual([
      route,
      '<sip:192.0.2.1;lr>',
    ]);
    peer.send(request(peer, 'ACK', { callId: 'f', toTag: answer.to.params.get('tag')! }));
    await until(() => bench.dialogs.length === 1, 'the dialog');
    const over = hangUp(bench.dialogs[0]!);
    const bye = await proxy.next('BYE');
    expect(bye.headers.filter(({ key }) => key === 'route').map(({ value }) => value)).toEqual([
      route,
      '<sip:192.0.2.1;lr>',
    ]);
    expect(bye).toMatchObject({ uri: `sip:peer@127.0.0.1:${peer.port}` });
    proxy.send(response(proxy, bye, 200));
    await over;
    await nothingLeft(bench.server);
  });

  it('is hung up on when the application is lost', async () => {
    const bench = await answering();
    await using peer = await openPeer(bench.port);
    peer.send(request(peer, 'INVITE', { callId: 'g' }));
    const toTag = (await peer.next(200)).to.params.get('tag')!;
    peer.send(request(peer, 'ACK', { callId: 'g', toTag }));
    await until(() => bench.dialogs.length === 1, 'the dialog');
    bench.srf.disconnect();
    peer.send(response(peer, await peer.next('BYE'), 200));
    await nothingLeft(bench.server);
    await bench.server.close();
  });
});
