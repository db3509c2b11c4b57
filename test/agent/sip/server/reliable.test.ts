/** Reliable provisional responses (RFC 3262), UPDATE (RFC 3311) and who may offer when. */
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import type { Dialog, SrfResponse } from 'drachtio-srf';
import { headerOf } from '../../../../agent/sip/server/message.ts';
import { Offers } from '../../../../agent/sip/server/offers.ts';
import { hangUp, nothingLeft, openBench, until } from './application.ts';
import { callIn, callOut, quick } from './in-call.ts';
import { openPeer, request, response, sdp } from './peer.ts';
import type { Received } from './peer.ts';

const answerTo = (cseq: number) => (one: Received) =>
  one.kind === 'response' && one.cseq === cseq && one.status !== 100;

describe('a reliable provisional response of ours', () => {
  const ringing = async (headers: Record<string, string>) => {
    const responses: SrfResponse[] = [];
    const dialogs: Dialog[] = [];
    const bench = await openBench(quick, (srf) => {
      srf.invite((req, res) => {
        responses.push(res);
        res.send(183, 'Session Progress', { headers, body: sdp });
        res.send(180, 'Ringing', { headers });
        void srf.createUAS(req, res, { localSdp: sdp }).then(
          (dialog) => dialogs.push(dialog),
          () => undefined,
        );
      });
    });
    return { bench, dialogs };
  };

  it.each<[string, Record<string, string>, string]>([
    ['asked for by the application', { Require: '100rel' }, 'Supported: 100rel'],
    ['asked for by the caller alone', {}, 'Require: 100rel'],
  ])('goes out one at a time, and the 200 after the last PRACK: %s', async (_what, headers, offer) => {
    const { bench, dialogs } = await ringing(headers);
    await using _bench = bench;
    await using peer = await openPeer(bench.port);
    const facts = { callId: `rel-${peer.port}` };
    peer.send(request(peer, 'INVITE', { ...facts, body: sdp, headers: [offer] }));
    const first = await peer.fresh(183);
    const toTag = first.to.params.get('tag')!;
    await peer.next(183);
    expect(peer.received.some((one) => one.kind === 'response' && one.status >= 200)).toBe(false);
    expect(peer.received.some((one) => one.kind === 'response' && one.status === 180)).toBe(false);
    const acknowledge = (of: Received, cseq: number) =>
      peer.send(
        request(peer, 'PRACK', {
          ...facts,
          toTag,
          cseq,
          headers: [`RAck: ${headerOf(of, 'rseq')} 1 INVITE`],
        }),
      );
    acknowledge(first, 2);
    const second = await peer.fresh(180);
    expect(Number(headerOf(second, 'rseq'))).toBe(Number(headerOf(first, 'rseq')) + 1);
    expect(headerOf(second, 'require')).toBe('100rel');
    acknowledge(second, 3);
    await peer.fresh((one) => one.kind === 'response' && one.method === 'INVITE' && one.status === 200);
    expect((await peer.fresh(answerTo(2))).kind).toBe('response');
    expect((await peer.fresh(answerTo(3))).kind).toBe('response');
    peer.send(request(peer, 'ACK', { ...facts, toTag }));
    await until(() => dialogs.length === 1, 'the dialog');
    peer.send(request(peer, 'BYE', { ...facts, toTag, cseq: 4 }));
    await nothingLeft(bench.server);
  });

  it('without PRACK in 64*T1 refuses the INVITE, and the 200 that waited is refused to the application', async () => {
    const { bench, dialogs } = await ringing({ Require: '100rel' });
    await using _bench = bench;
    await using peer = await openPeer(bench.port);
    const facts = { callId: `never-${peer.port}`, branch: 'z9hG4bKnever' };
    peer.send(request(peer, 'INVITE', { ...facts, headers: ['Supported: 100rel'] }));
    const refused = await peer.fresh(500);
    peer.send(request(peer, 'ACK', { ...facts, toTag: refused.to.params.get('tag')! }));
    await nothingLeft(bench.server);
    expect(dialogs).toHaveLength(0);
  });
});

describe('reliable provisional responses of a peer', () => {
  it('are acknowledged in their order, each once, by fork', async () => {
    await using bench = await openBench(quick);
    await using peer = await openPeer(bench.port);
    const heard: string[] = [];
    const result = bench.srf.createUAC(
      `sip:200@127.0.0.1:${peer.port}`,
      { localSdp: sdp },
      { cbProvisional: (res) => heard.push(`${res.status} ${res.get('RSeq')}`) },
    );
    const invite = await peer.fresh('INVITE');
    const reliably = (status: number, rseq: number, toTag = 'one') =>
      peer.send(response(peer, invite, status, { toTag, headers: ['Require: 100rel', `RSeq: ${rseq}`] }));
    const pracked = async () => {
      const prack = await peer.fresh('PRACK');
      peer.send(response(peer, prack, 200));
      return `${headerOf(prack, 'rack')} ${prack.to.params.get('tag')}`;
    };
    reliably(183, 10);
    expect(await pracked()).toBe(`10 ${invite.cseq} INVITE one`);
    reliably(183, 10);
    reliably(183, 12);
    reliably(183, 500, 'two');
    expect(await pracked()).toBe(`500 ${invite.cseq} INVITE two`);
    reliably(180, 11);
    expect(await pracked()).toBe(`11 ${invite.cseq} INVITE one`);
    reliably(183, 12);
    expect(await pracked()).toBe(`12 ${invite.cseq} INVITE one`);
    expect(heard).toEqual(['183 10', '183 500', '180 11', '183 12']);
    peer.send(response(peer, invite, 200, { toTag: 'one', body: sdp }));
    await peer.fresh('ACK');
    const gone = hangUp(await result);
    peer.send(response(peer, await peer.fresh('BYE'), 200));
    await gone;
    await nothingLeft(bench.server);
  });
});

describe('UPDATE and re-INVITE that cross', () => {
  it('says 500 with Retry-After while theirs is open, 491 while an offer of ours is (RFC 3311 section 5.2)', async () => {
    await using call = await callIn();
    const { peer, within, dialog } = call;
    const updates: SrfResponse[] = [];
    dialog.on('update', (_req, res) => updates.push(res));
    peer.send(request(peer, 'UPDATE', { ...within, cseq: 2, body: sdp }));
    await until(() => updates.length === 1, 'the UPDATE');
    peer.send(request(peer, 'UPDATE', { ...within, cseq: 3, body: sdp }));
    const refused = await peer.fresh(answerTo(3));
    expect(refused).toMatchObject({ status: 500 });
    expect(Number(headerOf(refused, 'retry-after'))).toBeLessThanOrEqual(10);
    peer.send(request(peer, 'INVITE', { ...within, cseq: 4, body: sdp }));
    expect(await peer.fresh(answerTo(4))).toMatchObject({ status: 500 });
    updates[0]!.send(200, { body: sdp });
    const answered = await peer.fresh(answerTo(2));
    expect(headerOf(answered, 'contact')).toBeDefined();

    const asked = dialog.request({ method: 'UPDATE', body: sdp, headers: {} });
    const ours = await peer.fresh('UPDATE');
    peer.send(request(peer, 'UPDATE', { ...within, cseq: 5, body: sdp }));
    expect(await peer.fresh(answerTo(5))).toMatchObject({ status: 491 });
    expect((await dialog.request({ method: 'UPDATE', body: sdp, headers: {} })).status).toBe(491);
    peer.send(response(peer, ours, 200, { body: sdp }));
    expect((await asked).status).toBe(200);
    peer.send(request(peer, 'UPDATE', { ...within, cseq: 6 }));
    await until(() => updates.length === 2, 'a refresh without offer');
    updates[1]!.send(200);
    expect(await peer.fresh(answerTo(6))).toMatchObject({ status: 200 });
    await call.over();
  });

  it.each(['INFO', 'INVITE'] as const)(
    'an UPDATE that comes while %s of ours is open is delivered after its answer',
    async (method) => {
      await using call = await callIn();
      const { peer, within, dialog } = call;
      const updates: SrfResponse[] = [];
      dialog.on('update', (_req, res) => updates.push(res));
      const body = method === 'INVITE' ? sdp : undefined;
      const asked = dialog.request({ method, ...(body === undefined ? {} : { body }) });
      const ours = await peer.fresh(method);
      peer.send(request(peer, 'UPDATE', { ...within, cseq: 2 }));
      // Another request that is answered: the UPDATE was read before it.
      peer.send(request(peer, 'OPTIONS', { ...within, cseq: 3 }));
      expect(await peer.fresh(answerTo(3))).toMatchObject({ status: 200 });
      expect(updates).toHaveLength(0);
      peer.send(response(peer, ours, 200, body === undefined ? {} : { body, contact: true }));
      expect((await asked).status).toBe(200);
      await until(() => updates.length === 1, 'the UPDATE');
      updates[0]!.send(200);
      expect(await peer.fresh(answerTo(2))).toMatchObject({ status: 200 });
      await call.over();
    },
  );

  it('an UPDATE that waits when the call ends is refused', async () => {
    await using call = await callIn();
    const { peer, within, dialog } = call;
    const gone = hangUp(dialog);
    const bye = await peer.fresh('BYE');
    peer.send(request(peer, 'UPDATE', { ...within, cseq: 2 }));
    peer.send(response(peer, bye, 200));
    expect(await peer.fresh(answerTo(2))).toMatchObject({ status: 481 });
    await gone;
    await nothingLeft(call.bench.server);
  });

  it('takes the new target of a re-INVITE only with its success (RFC 6141 section 4)', async () => {
    await using call = await callIn();
    const { peer, within, dialog } = call;
    await using other = await openPeer(call.bench.port);
    let accept = false;
    dialog.on('modify', (_req, res) => res.send(accept ? 200 : 488, accept ? { body: sdp } : {}));
    const moved = (cseq: number) =>
      peer.send(
        request(peer, 'INVITE', {
          ...within,
          cseq,
          body: sdp,
          contact: false,
          branch: `z9hG4bKmoved${cseq}`,
          headers: [`Contact: ${other.contact}`, 'Record-Route: <sip:127.0.0.1:9;lr>'],
        }),
      );
    moved(2);
    expect(await peer.fresh(answerTo(2))).toMatchObject({ status: 488 });
    peer.send(request(peer, 'ACK', { ...within, cseq: 2, branch: 'z9hG4bKmoved2' }));
    const info = dialog.request({ method: 'INFO' });
    peer.send(response(peer, await peer.fresh('INFO'), 200));
    await info;
    accept = true;
    moved(3);
    await peer.fresh(answerTo(3));
    peer.send(request(peer, 'ACK', { ...within, cseq: 3 }));
    const again = dialog.request({ method: 'INFO' });
    const got = await peer.fresh('INFO');
    expect(got).toMatchObject({ uri: other.contact.slice(1, -1) });
    peer.send(response(peer, got, 200));
    await again;
    await call.over();
  });

  it('a BYE ends a re-INVITE that is open with 487', async () => {
    await using call = await callIn();
    const { peer, within, dialog, bench } = call;
    let open = false;
    dialog.on('modify', () => (open = true));
    peer.send(request(peer, 'INVITE', { ...within, cseq: 2, body: sdp, branch: 'z9hG4bKopen' }));
    await until(() => open, 'the re-INVITE');
    peer.send(request(peer, 'BYE', { ...within, cseq: 3 }));
    expect(await peer.fresh(answerTo(2))).toMatchObject({ status: 487 });
    peer.send(request(peer, 'ACK', { ...within, cseq: 2, branch: 'z9hG4bKopen' }));
    expect(await peer.fresh(answerTo(3))).toMatchObject({ status: 200 });
    await nothingLeft(bench.server);
  });

  it('a 2xx other than 200 is a success, and one without an answer leaves no offer open', async () => {
    await using call = await callOut();
    const { peer, dialog } = call;
    const first = dialog.request({ method: 'INVITE', body: sdp });
    peer.send(response(peer, await peer.fresh('INVITE'), 202));
    const answer = await first;
    expect(answer.status).toBe(200);
    await peer.fresh('ACK');
    const second = dialog.request({ method: 'INVITE', body: sdp });
    peer.send(response(peer, await peer.fresh('INVITE'), 200, { body: sdp }));
    expect((await second).status).toBe(200);
    await peer.fresh('ACK');
    await call.over();
  });
});

describe('the count of offers', () => {
  it('knows at every moment at most one open offer, and takes over our description only with an answer', () => {
    const step = fc.record({
      by: fc.constantFrom('ours' as const, 'theirs' as const),
      sdp: fc.constantFrom('', 'a', 'b'),
      mayOffer: fc.boolean(),
      concluded: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const offers = new Offers();
        for (const { by, sdp: text, mayOffer, concluded } of steps) {
          const before = offers.open;
          const local = offers.local;
          offers.carried(by, text, mayOffer);
          if (text === '') expect(offers.open).toBe(before);
          else if (before === undefined) expect(offers.open).toBe(mayOffer ? by : undefined);
          else expect(offers.open).toBe(before === by ? before : undefined);
          if (!(before !== undefined && offers.open === undefined)) expect(offers.local).toBe(local);
          if (concluded) {
            offers.concluded(by);
            expect(offers.open).not.toBe(by);
          }
        }
      }),
    );
  });
});
