import { expect, test } from 'vitest';
import { Leg } from '../../../agent/sip/leg.ts';
import { peerNamed } from './peer.ts';
import { callIn } from './server/in-call.ts';
import { request, response } from './server/peer.ts';

test('an UPDATE that comes while a request of ours is open is answered, not lost', async () => {
  await using call = await callIn();
  const { peer, within, dialog } = call;
  const leg = new Leg(dialog, peerNamed('pbx'));
  const asked = leg.request({ method: 'INFO', headers: {}, body: undefined });
  const info = await peer.fresh('INFO');
  peer.send(request(peer, 'UPDATE', { ...within, cseq: 2 }));
  peer.send(response(peer, info, 204));
  const answer = await peer.fresh((one) => one.kind === 'response' && one.method === 'UPDATE');
  expect(answer).toMatchObject({ status: 200 });
  expect(await asked).toMatchObject({ status: 204 });
  await call.over();
});

test('a SUBSCRIBE that ends a subscription is the other side to answer, as the one that began it', async () => {
  await using call = await callIn();
  const { peer, within, dialog } = call;
  const leg = new Leg(dialog, peerNamed('pbx'));
  const asked: string[] = [];
  leg.onRequest(({ method, headers }) => {
    asked.push(`${method} ${headers['expires'] ?? ''}`);
    return Promise.resolve({ status: 481 });
  });
  peer.send(request(peer, 'SUBSCRIBE', { ...within, cseq: 2, headers: ['Event: dialog', 'Expires: 0'] }));
  const answer = await peer.fresh((one) => one.kind === 'response' && one.method === 'SUBSCRIBE');
  expect(answer).toMatchObject({ status: 481 });
  expect(asked).toEqual(['SUBSCRIBE 0']);
  await call.over();
});

test('a REFER waits until there is another side; what else comes before is taken note of', async () => {
  await using call = await callIn();
  const { peer, within, dialog } = call;
  const leg = new Leg(dialog, peerNamed('pbx'));
  peer.send(request(peer, 'REFER', { ...within, cseq: 2, headers: ['Refer-To: <sip:another@127.0.0.1>'] }));
  peer.send(request(peer, 'INFO', { ...within, cseq: 3 }));
  const noted = await peer.fresh((one) => one.kind === 'response' && one.method === 'INFO');
  expect(noted).toMatchObject({ status: 200 });
  leg.onRequest(({ method }) => Promise.resolve({ status: method === 'REFER' ? 202 : 500 }));
  const referred = await peer.fresh((one) => one.kind === 'response' && one.method === 'REFER');
  expect(referred).toMatchObject({ status: 202 });
  await call.over();
});
