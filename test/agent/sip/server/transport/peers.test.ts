/** Whole calls over TCP and TLS with programs that we did not write: SIPp at the ends, Kamailio in between. */
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SipServerOptions } from '../../../../../agent/sip/server/server.ts';
import { openAuthority } from '../../../../peers/certificates.ts';
import { freePort } from '../../../../peers/free-port.ts';
import { Program } from '../../../../peers/program.ts';
import { Sipp, runSipp } from '../../../../peers/sipp.ts';
import { temporaryFolder } from '../../../../peers/temporary-folder.ts';
import { bridgeTo, nothingLeft, openBench } from '../application.ts';

const timers = { t1Ms: 200, t2Ms: 800, t4Ms: 500 };
const local = { address: '127.0.0.1', port: 0 };

/** A back-to-back user agent whose calls go where `to` says. */
function bridge(to: () => string, listen: SipServerOptions['listen']) {
  return openBench({ timers, listen }, (srf) => {
    const carry = bridgeTo(srf, to);
    srf.invite((req, res) => void carry(req, res));
  });
}

describe('a call through a B2BUA', () => {
  it.each<['udp' | 'tcp', 'udp' | 'tcp']>([
    ['tcp', 'tcp'],
    ['tcp', 'udp'],
    ['udp', 'tcp'],
  ])('from SIPp by %s to SIPp by %s', async (from, to) => {
    await using pbx = await Sipp.start({ scenario: { builtIn: 'uas' }, calls: 10, limit: 10, transport: to });
    await using bench = await bridge(
      () => `sip:200@127.0.0.1:${pbx.port};transport=${to}`,
      [
        { ...local, transport: 'udp' },
        { ...local, transport: 'tcp' },
      ],
    );
    const port = bench.server.addresses.find(({ transport }) => transport === from)!.port;
    const called = await runSipp({
      scenario: { builtIn: 'uac' },
      target: { port },
      transport: from,
      calls: 10,
      rate: 10,
      args: ['-d', '200'],
    });
    expect(called, called.errors).toMatchObject({ exitCode: 0, successful: 10, failed: 0 });
    expect((await pbx.finished()).successful).toBe(10);
    await nothingLeft(bench.server);
  });
});

function takes(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('close', (failed) => resolve(!failed));
  });
}

/** Kamailio as a record-routing proxy that takes TLS, TCP and UDP and sends everything on to a UDP port. */
async function openKamailio(onwards: number, tls: { certificate: string; key: string; ca: string }) {
  const folder = await temporaryFolder('kamailio');
  const [udp, secure] = [await freePort(), await freePort()];
  const file = join(folder.path, 'kamailio.cfg');
  await writeFile(
    join(folder.path, 'tls.cfg'),
    [
      ...['[server:default]', 'method = TLSv1.2+', `certificate = ${tls.certificate}`],
      ...[`private_key = ${tls.key}`, `ca_list = ${tls.ca}`, 'verify_certificate = yes'],
      ...['require_certificate = yes', '[client:default]', `certificate = ${tls.certificate}`],
      ...[`private_key = ${tls.key}`, `ca_list = ${tls.ca}`, 'verify_certificate = yes', ''],
    ].join('\n'),
  );
  await writeFile(
    file,
    [
      ...['debug=1', 'log_stderror=yes', 'fork=yes', 'children=1', 'tcp_children=1', 'enable_tls=yes'],
      ...['auto_aliases=no', 'mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"'],
      ...[`listen=udp:127.0.0.1:${udp}`, `listen=tcp:127.0.0.1:${udp}`, `listen=tls:127.0.0.1:${secure}`],
      ...['loadmodule "tm.so"', 'loadmodule "sl.so"', 'loadmodule "rr.so"', 'loadmodule "pv.so"'],
      ...['loadmodule "textops.so"', 'loadmodule "siputils.so"', 'loadmodule "tls.so"'],
      `modparam("tls", "config", "${join(folder.path, 'tls.cfg')}")`,
      'request_route {',
      '  if (has_totag()) { if (loose_route()) { t_relay(); } exit; }',
      '  if (is_method("CANCEL")) { t_relay(); exit; }',
      '  record_route();',
      `  $du = "sip:127.0.0.1:${onwards};transport=udp";`,
      '  t_relay();',
      '}',
      '',
    ].join('\n'),
  );
  const args = ['-f', file, '-DD', '-E', '-w', folder.path, '-Y', folder.path, '-m', '32', '-M', '4'];
  const program = await Program.start('kamailio', args);
  await program.until(async () => ((await takes(secure)) ? true : undefined), 10_000, 'the TLS port');
  return {
    udp,
    secure,
    program,
    [Symbol.asyncDispose]: async () => {
      await program.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe('a call to a PBX behind Kamailio, which record-routes and changes the transport', () => {
  it.each(['tls', 'tcp'] as const)('by %s to Kamailio, by UDP from there', async (transport) => {
    await using authority = await openAuthority();
    const [ours, theirs] = [await authority.issue(['IP:127.0.0.1']), await authority.issue(['IP:127.0.0.1'])];
    await using pbx = await Sipp.start({ scenario: 'pbx-answers', calls: 3 });
    await using proxy = await openKamailio(pbx.port, { ...theirs, ca: authority.ca });
    const port = transport === 'tls' ? proxy.secure : proxy.udp;
    await using bench = await bridge(
      () => `sip:200@127.0.0.1:${port};transport=${transport}`,
      [
        { ...local, transport: 'udp' },
        { ...local, transport: 'tcp' },
        { ...local, transport: 'tls', tls: { ...ours, ca: authority.ca, clientCertificate: 'require' } },
      ],
    );
    const called = await runSipp({ scenario: 'caller-call', target: { port: bench.port }, calls: 3 });
    expect(called, called.errors + proxy.program.output.slice(-2_000)).toMatchObject({
      exitCode: 0,
      successful: 3,
      failed: 0,
    });
    expect((await pbx.finished()).successful).toBe(3);
    await nothingLeft(bench.server);
  });
});
