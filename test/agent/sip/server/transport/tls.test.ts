/** TLS against openssl's certificates and openssl itself: versions, names, both sides' certificates, renewal. */
import { createServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { CertificateRefused, startSipServer } from '../../../../../agent/sip/server/server.ts';
import type { SipServerEvent } from '../../../../../agent/sip/server/server.ts';
import { headerOf } from '../../../../../agent/sip/server/message.ts';
import { checkSipIdentity } from '../../../../../agent/sip/server/transport/tls.ts';
import { openAuthority } from '../../../../peers/certificates.ts';
import type { Issued } from '../../../../peers/certificates.ts';
import { Program } from '../../../../peers/program.ts';
import { nothingLeft, openBench, until } from '../application.ts';
import { request, response, sdp } from '../peer.ts';
import type { Peer } from '../peer.ts';
import { openStreamPeer, streamPeerOn } from '../stream-peer.ts';
import type { StreamPeer } from '../stream-peer.ts';
import { readFile } from 'node:fs/promises';

type Tls = Issued & {
  ca?: string;
  clientCertificate?: 'none' | 'request' | 'require';
  verifyServer?: 'name' | 'chain';
};

function bench(tls: Tls, onEvent: (event: SipServerEvent) => void = () => undefined) {
  const listen = [{ transport: 'tls', address: '127.0.0.1', port: 0, tls }] as const;
  return openBench({ timers: { t1Ms: 20, t2Ms: 160, t4Ms: 100 }, listen, onEvent }, (srf) => {
    srf.options((_req, res) => res.send(200));
    srf.invite((req, res) => void srf.createUAS(req, res, { localSdp: sdp }).catch(() => undefined));
  });
}

function options(peer: { port: number }): string {
  return request({ port: peer.port, contact: '<sips:x@127.0.0.1>' } as Peer, 'OPTIONS').replace(
    'SIP/2.0/UDP',
    'SIP/2.0/TLS',
  );
}

/** A PBX that listens on TLS with this certificate; whether it saw one of ours is in `authorized`. */
async function pbxOnTls({ certificate, key }: Issued, ca: string) {
  const peers: StreamPeer[] = [];
  const authorized: boolean[] = [];
  const settings = { cert: await readFile(certificate), key: await readFile(key), ca: await readFile(ca) };
  const server = createServer({ ...settings, requestCert: true, rejectUnauthorized: false }, (socket) => {
    authorized.push(socket.authorized);
    peers.push(streamPeerOn(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    peers,
    authorized,
    [Symbol.asyncDispose]: async () => {
      for (const { socket } of peers) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

describe('a peer that connects by TLS', () => {
  it('is answered, with a sips Contact where it asked for one', async () => {
    await using authority = await openAuthority();
    await using server = await bench(await authority.issue(['IP:127.0.0.1']));
    using peer = await openStreamPeer(server.port, { ca: await readFile(authority.ca) });
    const writer = { port: peer.port, contact: `<sips:peer@127.0.0.1:${peer.port}>` } as Peer;
    peer.send(
      request(writer, 'INVITE', { uri: 'sips:200@127.0.0.1', body: sdp }).replace(
        'SIP/2.0/UDP',
        'SIP/2.0/TLS',
      ),
    );
    const answer = await peer.next(200);
    expect(headerOf(answer, 'contact')).toBe(`<sips:127.0.0.1:${server.port};transport=tls>`);
    expect(server.server.addresses[0]).toMatchObject({ transport: 'tls' });
  });

  it.each<[string, RegExp]>([
    ['-tls1_1', /alert|no protocols|error/iu],
    ['-tls1_2', /Protocol *: TLSv1\.2/u],
    ['-tls1_3', /TLSv1\.3/u],
  ])('with openssl s_client %s', async (version, expected) => {
    await using authority = await openAuthority();
    await using server = await bench(await authority.issue(['IP:127.0.0.1']));
    const args = ['s_client', '-connect', `127.0.0.1:${server.port}`, version, '-CAfile', authority.ca];
    await using client = await Program.start('openssl', args);
    await client.until(() => (expected.test(client.output) ? true : undefined), 10_000, 'the handshake');
    if (version === '-tls1_1') {
      await client.exited;
      expect(server.server.statistics().connections).toBe(0);
    }
  });

  it.each<['none' | 'request' | 'require', 'ours' | 'none' | 'strange', boolean]>([
    ['none', 'none', true],
    ['request', 'none', true],
    ['request', 'ours', true],
    ['request', 'strange', false],
    ['require', 'ours', true],
    ['require', 'none', false],
    ['require', 'strange', false],
  ])('where its certificate is: %s, shown: %s', async (clientCertificate, shown, taken) => {
    await using authority = await openAuthority();
    await using stranger = await openAuthority();
    const own = await authority.issue(['IP:127.0.0.1']);
    await using server = await bench({ ...own, ca: authority.ca, clientCertificate });
    const client = await (shown === 'strange' ? stranger : authority).issue(['DNS:client.test']);
    const credentials =
      shown === 'none' ? {} : { cert: await readFile(client.certificate), key: await readFile(client.key) };
    const statistics = () => server.server.statistics();
    try {
      using peer = await openStreamPeer(server.port, { ca: await readFile(authority.ca), ...credentials });
      peer.send(options(peer));
      if (taken) await peer.next(200);
      else await peer.end();
    } catch {
      expect(taken).toBe(false);
    }
    if (!taken) await until(() => statistics().dropped['tls handshake'] > 0, 'the count');
    await until(() => statistics().connections === 0, 'the end of the connection');
  });
});

describe('a PBX on TLS', () => {
  it.each<[string, string[], 'name' | 'chain', boolean]>([
    ['the address in the URI', ['IP:127.0.0.1'], 'name', true],
    ['another address', ['IP:192.0.2.1'], 'name', false],
    ['another address, the chain alone asked for', ['IP:192.0.2.1'], 'chain', true],
  ])('whose certificate names %s', async (_what, names, verifyServer, good) => {
    await using authority = await openAuthority();
    const own = await authority.issue(['IP:127.0.0.1']);
    await using server = await bench({ ...own, ca: authority.ca, verifyServer });
    await using pbx = await pbxOnTls(await authority.issue(names), authority.ca);
    const asked = server.srf.createUAC(`sips:200@127.0.0.1:${pbx.port}`, { localSdp: sdp });
    if (good) {
      await until(() => pbx.peers.length > 0, 'the connection');
      const invite = await pbx.peers[0]!.next('INVITE');
      expect(invite.via.transport).toBe('TLS');
      expect(headerOf(invite, 'contact')).toMatch(/^<sips:/u);
      expect(pbx.authorized).toEqual([true]);
      pbx.peers[0]!.send(response({ contact: '<sip:x>' } as Peer, invite, 486));
      await expect(asked).rejects.toMatchObject({ status: 486 });
    } else {
      await expect(asked).rejects.toMatchObject({ status: 503 });
      expect(pbx.peers.every(({ received }) => received.length === 0)).toBe(true);
    }
    await nothingLeft(server.server);
  });

  it('of nobody we know gets not a byte of SIP', async () => {
    await using authority = await openAuthority();
    await using stranger = await openAuthority();
    const own = await authority.issue(['IP:127.0.0.1']);
    await using server = await bench({ ...own, ca: authority.ca });
    await using pbx = await pbxOnTls(await stranger.issue(['IP:127.0.0.1']), stranger.ca);
    const asked = server.srf.createUAC(`sips:200@127.0.0.1:${pbx.port}`, { localSdp: sdp });
    await expect(asked).rejects.toMatchObject({ status: 503 });
    expect(pbx.peers.every(({ received }) => received.length === 0)).toBe(true);
    await nothingLeft(server.server);
  });
});

describe('our certificate', () => {
  it('is read again when it changes, and the connections go on', async () => {
    await using authority = await openAuthority();
    const old = await authority.issue(['IP:127.0.0.1'], 3);
    const events: string[] = [];
    await using server = await bench(old, ({ kind }) => events.push(kind));
    const ca = await readFile(authority.ca);
    using before = await openStreamPeer(server.port, { ca });
    const [first] = server.server.certificates();
    await authority.replace(old, await authority.issue(['IP:127.0.0.1'], 300));
    await until(() => server.server.certificates()[0]!.until > first!.until, 'the new certificate', 20_000);
    using after = await openStreamPeer(server.port, { ca });
    for (const peer of [before, after]) {
      peer.send(options(peer));
      await peer.next(200);
    }
    expect(events).toContain('certificate loaded');
  });

  it('stays what it was when the new one is of another key', async () => {
    await using authority = await openAuthority();
    const old = await authority.issue(['IP:127.0.0.1']);
    const events: string[] = [];
    await using server = await bench(old, ({ kind }) => events.push(kind));
    const fresh = await authority.issue(['IP:127.0.0.1']);
    await authority.replace(old, { certificate: fresh.certificate, key: old.key });
    await until(() => events.includes('certificate refused'), 'the refusal', 20_000);
    using peer = await openStreamPeer(server.port, { ca: await readFile(authority.ca) });
    peer.send(options(peer));
    await peer.next(200);
  });

  it('that has ended, or belongs to another key, is refused at start, in words', async () => {
    await using authority = await openAuthority();
    const [ended, one, other] = await Promise.all([
      authority.issue(['IP:127.0.0.1'], -1),
      authority.issue(['IP:127.0.0.1']),
      authority.issue(['IP:127.0.0.1']),
    ]);
    const start = (tls: Issued) =>
      startSipServer({
        listen: [{ transport: 'tls', address: '127.0.0.1', port: 0, tls }],
        accept: () => true,
      });
    await expect(start(ended)).rejects.toThrow(CertificateRefused);
    await expect(start(ended)).rejects.toThrow(/it ended on/u);
    await expect(start({ ...one, key: other.key })).rejects.toThrow(/is the key of another/u);
  });
});

it.each<[string, string, boolean]>([
  ['URI:sip:carrier.test', 'carrier.test', true],
  ['URI:sip:carrier.test', 'other.test', false],
  ['DNS:Carrier.Test', 'carrier.test', true],
  ['DNS:*.carrier.test', 'sbc.carrier.test', true],
  ['IP Address:192.0.2.1', '192.0.2.1', true],
  ['IP Address:192.0.2.1', '192.0.2.2', false],
])('a certificate that names %s, asked for %s', (subjectaltname, name, good) => {
  const certificate = { subject: { CN: 'x' }, subjectaltname } as unknown as Parameters<
    typeof checkSipIdentity
  >[1];
  expect(checkSipIdentity(name, certificate) === undefined).toBe(good);
});
