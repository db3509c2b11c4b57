/** Names of a real DNS server, and what happens when a target of theirs does not answer. */
import { createSocket } from 'node:dgram';
import { describe, expect, it } from 'vitest';
import { nodeDns } from '../../../../agent/sip/server/resolve/dns.ts';
import { openNameServer } from '../../../peers/dnsmasq.ts';
import { freePort } from '../../../peers/free-port.ts';
import { nothingLeft, openBench, until } from './application.ts';
import { openPeer, response, sdp } from './peer.ts';
import type { Peer } from './peer.ts';

const quick = { timers: { t1Ms: 40, t2Ms: 160, t4Ms: 100 } };

/** A bench whose DNS says that `pbx.test` is served by these ports, in this order. */
async function served(ports: readonly number[]) {
  const dns = await openNameServer([
    'naptr-record=pbx.test,10,10,S,SIP+D2U,,_sip._udp.pbx.test',
    'host-record=a.pbx.test,127.0.0.1',
    ...ports.map((port, at) => `srv-host=_sip._udp.pbx.test,a.pbx.test,${port},${at + 1},0`),
  ]);
  const bench = await openBench({ ...quick, dns: nodeDns([dns.server]) });
  return {
    ...bench,
    [Symbol.asyncDispose]: async () => {
      await bench[Symbol.asyncDispose]();
      await dns[Symbol.asyncDispose]();
    },
  };
}

async function answers(pbx: Peer): Promise<void> {
  const invite = await pbx.fresh('INVITE');
  pbx.send(response(pbx, invite, 200, { body: sdp }));
  await pbx.fresh('ACK');
}

describe('a call to a name that two servers serve', () => {
  it.each<[string, (first: Peer, close: () => Promise<void>) => Promise<void>]>([
    ['says 503', async (first) => first.send(response(first, await first.fresh('INVITE'), 503))],
    ['says nothing', () => Promise.resolve()],
    ['is not there', (_first, close) => close()],
  ])('reaches the second when the first %s, and the next call goes there at once', async (_what, fails) => {
    await using stack = new AsyncDisposableStack();
    const first = await openPeer(0);
    let open = true;
    const close = async () => {
      if (open) await first[Symbol.asyncDispose]();
      open = false;
    };
    stack.defer(close);
    await using second = await openPeer(0);
    await using bench = await served([first.port, second.port]);
    first.target = second.target = bench.port;
    const failing = fails(first, close);
    const called = bench.srf.createUAC('sip:200@pbx.test', { localSdp: sdp });
    await answers(second);
    await failing;
    const dialog = await called;
    const again = bench.srf.createUAC('sip:200@pbx.test', { localSdp: sdp });
    await answers(second);
    for (const each of [dialog, await again]) {
      const ended = each.destroy();
      second.send(response(second, await second.fresh('BYE'), 200));
      await ended;
    }
    await nothingLeft(bench.server);
  });

  it('is cancelled at the first when that rings after all, and its late answer is hung up', async () => {
    await using first = await openPeer(0);
    await using second = await openPeer(0);
    await using bench = await served([first.port, second.port]);
    first.target = second.target = bench.port;
    const called = bench.srf.createUAC('sip:200@pbx.test', { localSdp: sdp });
    const late = await first.fresh('INVITE');
    await answers(second);
    const dialog = await called;
    first.send(response(first, late, 180, { toTag: 'late' }));
    await first.fresh('CANCEL');
    first.send(response(first, late, 200, { toTag: 'late', body: sdp }));
    await first.fresh('ACK');
    first.send(response(first, await first.fresh('BYE'), 200));
    const ended = dialog.destroy();
    second.send(response(second, await second.fresh('BYE'), 200));
    await ended;
  });

  it('waits on for the first, which was only slow, when the second refuses', async () => {
    await using first = await openPeer(0);
    await using bench = await served([first.port, await freePort()]);
    first.target = bench.port;
    const called = bench.srf.createUAC('sip:200@pbx.test', { localSdp: sdp });
    const invite = await first.fresh('INVITE');
    const transactions = () => bench.server.statistics().transactions;
    await until(() => transactions() === 2, 'the try at the second');
    await until(() => transactions() === 1, 'the end of that');
    first.send(response(first, invite, 200, { body: sdp }));
    await first.fresh('ACK');
    const ended = (await called).destroy();
    first.send(response(first, await first.fresh('BYE'), 200));
    await ended;
    await nothingLeft(bench.server);
  });

  it('fails with 503 when the name has no address', async () => {
    await using bench = await served([]);
    await expect(bench.srf.createUAC('sip:200@nowhere.test', { localSdp: sdp })).rejects.toMatchObject({
      status: 503,
    });
    await nothingLeft(bench.server);
  });
});

describe('a peer behind a firewall that refuses ports it does not know', () => {
  /** Takes only datagrams from one port: any other sender is refused by ICMP, as the connected socket of it does. */
  it('is slow, and no 503 comes of it', async () => {
    await using bench = await openBench({ timers: { t1Ms: 40, t2Ms: 80, t4Ms: 100 } });
    const port = await freePort();
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(port, '127.0.0.1', resolve));
    // Connected, the system answers every other source with "port unreachable".
    await new Promise<void>((resolve) => socket.connect(bench.port, '127.0.0.1', resolve));
    const seen: string[] = [];
    socket.on('message', (bytes) => {
      seen.push(bytes.toString('latin1'));
      // It answers the fifth copy only.
      if (seen.length !== 5) return;
      const [line = ''] = seen[4]!.split('\r\n');
      expect(line).toContain('INVITE');
      const copied = seen[4]!.split('\r\n').filter((one) => /^(Via|From|Call-ID|CSeq):/u.test(one));
      const to = /^To: .*$/mu.exec(seen[4]!)?.[0] ?? '';
      socket.send(
        ['SIP/2.0 486 Busy Here', ...copied, `${to};tag=slow`, 'Content-Length: 0', '', ''].join('\r\n'),
      );
    });
    try {
      const called = bench.srf.createUAC(`sip:200@127.0.0.1:${port}`, { localSdp: sdp });
      await expect(called).rejects.toMatchObject({ status: 486 });
      await nothingLeft(bench.server);
    } finally {
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    }
  });
});
