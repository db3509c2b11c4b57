/** TCP listeners against peers that behave, and peers that do not. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { SipServerOptions } from '../../../../../agent/sip/server/server.ts';
import { headerOf } from '../../../../../agent/sip/server/message.ts';
import { nothingLeft, openBench, until } from '../application.ts';
import type { Bench } from '../application.ts';
import { openPeer, request, response, sdp } from '../peer.ts';
import type { Peer } from '../peer.ts';
import { openStreamPeer, streamPeerOn } from '../stream-peer.ts';
import type { StreamPeer } from '../stream-peer.ts';

const quick = { timers: { t1Ms: 20, t2Ms: 160, t4Ms: 100 } };
const tcp = { transport: 'tcp', address: '127.0.0.1', port: 0 } as const;
const udp = { transport: 'udp', address: '127.0.0.1', port: 0 } as const;

/** An application that answers OPTIONS and INVITE, on TCP. */
function answering(options: Partial<SipServerOptions> = {}): Promise<Bench> {
  return openBench({ ...quick, listen: [tcp], ...options }, (srf) => {
    srf.options((_req, res) => res.send(200));
    srf.invite((req, res) => void srf.createUAS(req, res, { localSdp: sdp }).catch(() => undefined));
  });
}

/** A request as a TCP peer writes it. */
function overTcp(
  peer: { port: number },
  method: string,
  writing: Parameters<typeof request>[2] = {},
): string {
  const writer = { port: peer.port, contact: `<sip:peer@127.0.0.1:${peer.port};transport=tcp>` } as Peer;
  return request(writer, method, writing).replace('SIP/2.0/UDP', 'SIP/2.0/TCP');
}

/** A PBX that listens on TCP and takes connections one by one. */
async function pbxOnTcp() {
  const peers: StreamPeer[] = [];
  const server = createServer((socket) => peers.push(streamPeerOn(socket)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    peers,
    uri: `sip:200@127.0.0.1:${port};transport=tcp`,
    taken: async (count = 1) => {
      await until(() => peers.length >= count, `connection ${count}`);
      return peers[count - 1]!;
    },
    [Symbol.asyncDispose]: async () => {
      for (const { socket } of peers) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

describe('a peer that connects', () => {
  it('is answered on its connection, however its bytes are cut, and several times', async () => {
    await using bench = await answering();
    using peer = await openStreamPeer(bench.port);
    const options = overTcp(peer, 'OPTIONS');
    peer.send(options.slice(0, 100));
    await new Promise((resolve) => setImmediate(resolve));
    peer.send(`${options.slice(100)}${overTcp(peer, 'OPTIONS')}`);
    await peer.next(200);
    await peer.next(200);
    await nothingLeft(bench.server);
    expect(bench.server.statistics().connections).toBe(1);
    expect(bench.server.statistics().retransmissions).toBe(0);
  });

  it('carries a whole call; the BYE of the server finds its connection, not the port in its Contact', async () => {
    let hangUp = (): Promise<unknown> => Promise.reject(new Error('no call'));
    await using bench = await openBench({ ...quick, listen: [tcp] }, (srf) => {
      srf.invite((req, res) => {
        void srf.createUAS(req, res, { localSdp: sdp }).then((dialog) => (hangUp = () => dialog.destroy()));
      });
    });
    using peer = await openStreamPeer(bench.port);
    const nat = ['Contact: <sip:peer@192.0.2.1:5060;transport=tcp>'];
    peer.send(overTcp(peer, 'INVITE', { callId: 'call', contact: false, headers: nat, body: sdp }));
    const answer = await peer.next(200);
    expect(headerOf(answer, 'contact')).toBe(`<sip:127.0.0.1:${bench.port};transport=tcp>`);
    peer.send(overTcp(peer, 'ACK', { callId: 'call', toTag: answer.to.params.get('tag')! }));
    await until(() => bench.server.statistics().timers === 0, 'the ACK');
    const ended = hangUp();
    const bye = await peer.next('BYE');
    expect(bye.via).toMatchObject({ transport: 'TCP', host: '127.0.0.1', port: bench.port });
    peer.send(response({ contact: '<sip:x>' } as Peer, bye, 200));
    await ended;
    await nothingLeft(bench.server);
  });

  it('is pinged back', async () => {
    await using bench = await answering();
    using peer = await openStreamPeer(bench.port);
    peer.send('\r\n\r\n');
    await until(() => peer.keepAlives.includes('pong'), 'the pong');
  });

  it('and is gone when the answer comes, gets it at the port of its Via', async () => {
    await using pbx = await pbxOnTcp();
    let answer = (): unknown => undefined;
    await using bench = await openBench({ ...quick, listen: [tcp] }, (srf) => {
      srf.options((_req, res) => (answer = () => res.send(200)));
    });
    const peer = await openStreamPeer(bench.port);
    peer.send(overTcp(pbx, 'OPTIONS'));
    await until(() => bench.server.statistics().transactions === 1, 'the request');
    peer.socket.destroy();
    await until(() => bench.server.statistics().connections === 0, 'the end of the connection');
    answer();
    await (await pbx.taken()).next(200);
    await nothingLeft(bench.server);
  });
});

describe('a peer that misbehaves', () => {
  it.each<[string, string, number | undefined, keyof ReturnType<Bench['server']['statistics']>['dropped']]>([
    ['speaks another protocol', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', undefined, 'not SIP'],
    ['gives no length', overTcp({ port: 1 }, 'OPTIONS').replace('Content-Length: 0\r\n', ''), 400, 'not SIP'],
    [
      'announces too much',
      overTcp({ port: 1 }, 'OPTIONS').replace('Content-Length: 0', 'Content-Length: 70000'),
      413,
      'not SIP',
    ],
    [
      'never ends its head',
      `${overTcp({ port: 1 }, 'OPTIONS').slice(0, -4)}${'\r\nX: y'.repeat(10_000)}`,
      513,
      'not SIP',
    ],
    ['drips', 'OPTIONS sip:a@b SIP/2.0\r\n', undefined, 'slow message'],
  ])('and %s is told and closed', async (_what, text, status, reason) => {
    await using bench = await answering({ limits: { messageMs: 100 } });
    using peer = await openStreamPeer(bench.port);
    peer.send(text);
    if (status !== undefined) await peer.next(status);
    await peer.end();
    const { dropped, connections } = bench.server.statistics();
    expect(dropped[reason]).toBe(1);
    expect(connections).toBe(0);
  });

  it('and is a stranger gets not a byte', async () => {
    await using bench = await answering({ accept: () => false });
    using peer = await openStreamPeer(bench.port);
    await peer.end();
    expect(peer.socket.bytesRead).toBe(0);
    expect(bench.server.statistics().dropped['unknown source']).toBe(1);
  });

  it('and opens too many connections keeps those it has', async () => {
    await using bench = await answering({ limits: { connectionsPerSource: 2 } });
    using first = await openStreamPeer(bench.port);
    using second = await openStreamPeer(bench.port);
    using third = await openStreamPeer(bench.port);
    await third.end();
    expect(bench.server.statistics().dropped['connections per source']).toBe(1);
    second.socket.destroy();
    await until(() => bench.server.statistics().connections === 1, 'the end of the second');
    using fourth = await openStreamPeer(bench.port);
    for (const peer of [first, fourth]) {
      peer.send(overTcp(peer, 'OPTIONS'));
      await peer.next(200);
    }
  });

  it('and leaves its answers unread is let go, and its memory with it', async () => {
    await using bench = await answering({ limits: { queuedBytes: 20_000 } });
    using peer = await openStreamPeer(bench.port);
    peer.socket.pause();
    const padding = `X-Pad: ${'x'.repeat(8_000)}`;
    const send = setInterval(
      () => peer.send(overTcp(peer, 'OPTIONS', { headers: [`Via: SIP/2.0/TCP y;z=${padding}`] })),
      1,
    );
    try {
      await until(() => bench.server.statistics().connections === 0, 'the end of the connection', 30_000);
    } finally {
      clearInterval(send);
    }
  });
});

describe('a PBX on TCP', () => {
  it('gets requests on one connection, which is opened again when it is gone', async () => {
    await using bench = await answering();
    await using pbx = await pbxOnTcp();
    const ask = async (connection: number) => {
      const asked = bench.srf.request(pbx.uri, { method: 'OPTIONS' });
      const peer = await pbx.taken(connection);
      const options = await peer.next('OPTIONS');
      expect(options.via).toMatchObject({ transport: 'TCP', port: bench.port });
      peer.send(response({ contact: '<sip:x>' } as Peer, options, 200));
      await asked;
      return peer;
    };
    await ask(1);
    const peer = await ask(1);
    peer.socket.destroy();
    await until(() => bench.server.statistics().connections === 0, 'the end of the connection');
    await ask(2);
    await nothingLeft(bench.server);
  });

  it('that is not there is a 503 at once', async () => {
    await using bench = await answering();
    const pbx = await pbxOnTcp();
    await pbx[Symbol.asyncDispose]();
    const failed = bench.srf.createUAC(pbx.uri, { localSdp: sdp });
    await expect(failed).rejects.toMatchObject({ status: 503 });
    await nothingLeft(bench.server);
    expect(bench.server.statistics().connections).toBe(0);
  });

  it('that dies before its first word is a 503, too', async () => {
    await using bench = await answering();
    await using pbx = await pbxOnTcp();
    const failed = bench.srf.createUAC(pbx.uri, { localSdp: sdp });
    const peer = await pbx.taken();
    await peer.next('INVITE');
    peer.socket.destroy();
    await expect(failed).rejects.toMatchObject({ status: 503 });
    await nothingLeft(bench.server);
  });

  it('is kept alive; who answered one ping and not the next is gone', async () => {
    await using bench = await answering({ limits: { pingMs: 50, pongMs: 50 } });
    await using pbx = await pbxOnTcp();
    const asked = bench.srf.request(pbx.uri, { method: 'OPTIONS' });
    const peer = await pbx.taken();
    peer.send(response({ contact: '<sip:x>' } as Peer, await peer.next('OPTIONS'), 200));
    await asked;
    await until(() => peer.keepAlives.length > 0, 'a ping');
    expect(bench.server.statistics().connections).toBe(1);
    peer.send('\r\n');
    await peer.end();
    expect(bench.server.statistics().connections).toBe(0);
  });
});

describe('a request that no datagram holds', () => {
  const large = `${sdp}a=x:${'y'.repeat(2_000)}\r\n`;

  it('goes by TCP, answered there, to a peer that takes both', async () => {
    await using bench = await answering({ listen: [udp, tcp] });
    await using pbx = await pbxOnTcp();
    const called = bench.srf.createUAC(`sip:200@127.0.0.1:${pbx.port}`, { localSdp: large });
    const peer = await pbx.taken();
    const invite = await peer.next('INVITE');
    expect(invite.via.transport).toBe('TCP');
    const contact = [`Contact: <sip:pbx@127.0.0.1:${pbx.port};transport=tcp>`];
    peer.send(
      response({ contact: '' } as Peer, invite, 200, { contact: false, headers: contact, body: sdp }),
    );
    const dialog = await called;
    await peer.next('ACK');
    const ended = dialog.destroy();
    peer.send(response({ contact: '<sip:x>' } as Peer, await peer.next('BYE'), 200));
    await ended;
    await nothingLeft(bench.server);
  });

  it('goes by UDP after all when TCP is refused, and the next one does so at once', async () => {
    await using bench = await answering({ listen: [udp, tcp] });
    await using pbx = await openPeer(bench.port);
    for (const turn of [1, 2]) {
      const called = bench.srf.createUAC(`sip:200@127.0.0.1:${pbx.port}`, { localSdp: large });
      const invite = await pbx.fresh('INVITE');
      expect(invite.via.transport).toBe('UDP');
      pbx.send(response(pbx, invite, 486, { toTag: `busy-${turn}` }));
      await expect(called).rejects.toMatchObject({ status: 486 });
      await pbx.fresh('ACK');
    }
    await nothingLeft(bench.server);
  });
});
