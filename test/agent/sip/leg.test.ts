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
