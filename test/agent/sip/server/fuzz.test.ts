/** A running server and a real application, and peers that send nearly SIP. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { hangUp, nothingLeft, openBench, until } from './application.ts';
import { openPeer, request, response, sdp } from './peer.ts';

const pieces = [
  '\r\n',
  '\n ',
  ':',
  ';',
  ',',
  '"',
  '<',
  '>',
  '\\',
  '\0',
  '=',
  '[',
  '@',
  ' ',
  '%',
  '|',
  '#',
  'é',
  ';tag=x',
];

it('a server with calls outlives 2,000 damaged messages, and so does the application', async () => {
  const failures: unknown[] = [];
  await using bench = await openBench(
    {
      timers: { t1Ms: 10, t2Ms: 40, t4Ms: 50 },
      onEvent: (event) => {
        if (event.kind === 'failed') failures.push(event.error);
      },
    },
    (srf) => {
      srf.options((_req, res) => res.send(200));
      // Where a damaged Contact points is nobody's business: no dialog is made of it.
      srf.invite((req, res) => {
        if (req.uri.includes('answer')) void srf.createUAS(req, res, { localSdp: sdp });
        else res.send(486);
      });
    },
  );
  await using peer = await openPeer(bench.port);
  peer.send(request(peer, 'INVITE', { uri: 'sip:answer@127.0.0.1', callId: 'up', body: sdp }));
  const toTag = (await peer.next(200)).to.params.get('tag')!;
  const within = { callId: 'up', toTag };
  peer.send(request(peer, 'ACK', within));
  const outgoing = bench.srf.createUAC(`sip:1@127.0.0.1:${peer.port}`, { localSdp: sdp });
  const invite = await peer.next('INVITE');
  peer.send(response(peer, invite, 200, { body: sdp }));
  const dialog = await outgoing;
  await peer.next('ACK');

  const whole = () => [
    request(peer, 'INVITE', { body: sdp }),
    request(peer, 'INVITE', { headers: ['Supported: 100rel', 'Record-Route: <sip:127.0.0.1;lr>'] }),
    request(peer, 'CANCEL', { branch: 'z9hG4bKfuzz' }),
    request(peer, 'OPTIONS'),
    request(peer, 'ACK', { ...within, cseq: 2 }),
    request(peer, 'INFO', { ...within, cseq: 3, contact: false }),
    request(peer, 'PRACK', { ...within, cseq: 4, headers: ['RAck: 1 1 INVITE'], contact: false }),
    response(peer, invite, 180, { contact: false }),
  ];
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    over: fc.nat(3),
    put: fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 4, unit: 'binary-ascii' })),
  });
  const damage = fc.sample(
    fc.record({ which: fc.nat(7), edits: fc.array(edit, { minLength: 1, maxLength: 6 }) }),
    2_000,
  );
  for (const [turn, { which, edits }] of damage.entries()) {
    let text = whole()[which] ?? '';
    for (const { at, over, put } of edits) {
      const from = Math.floor(at * text.length);
      text = text.slice(0, from) + put + text.slice(from + over);
    }
    peer.send(text);
    if (turn % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  await until(() => bench.server.statistics().received > 1_500, 'the damaged messages');
  expect(failures).toEqual([]);
  peer.send(request(peer, 'OPTIONS', { callId: 'still-there' }));
  await peer.next((message) => message.callId === 'still-there' && message.kind === 'response');
  peer.send(request(peer, 'BYE', { ...within, cseq: 4_000_000 }));
  await peer.next(
    (message) => message.kind === 'response' && message.method === 'BYE' && message.callId === 'up',
  );
  const over = hangUp(dialog);
  peer.send(response(peer, await peer.next('BYE'), 200));
  await over;
  await nothingLeft(bench.server);
});
