import { createSocket } from 'node:dgram';
import { describe, expect, it } from 'vitest';
import type { Dialog, SrfResponse } from 'drachtio-srf';
import { Sipp, runSipp } from '../../../peers/sipp.ts';
import type { CallerScenario, PbxScenario, SippKeys } from '../../../peers/sipp.ts';
import { bridgeTo, hangUp, nothingLeft, openBench, until } from './application.ts';
import type { Bench } from './application.ts';

/** T1 of 50 ms: 64*T1, after which nothing of a call may be left, is 3.2 seconds. */
const quick = { timers: { t1Ms: 50, t2Ms: 400, t4Ms: 500 } };

async function bridge(
  bridged?: (uas: Dialog, uac: Dialog) => void,
): Promise<Bench & { pbxAt: (port: number) => void }> {
  let pbx = 0;
  const bench = await openBench(quick, (srf) => {
    const carry = bridgeTo(srf, () => `sip:200@127.0.0.1:${pbx}`, bridged);
    srf.invite((req, res) => void carry(req, res));
  });
  return { ...bench, pbxAt: (port) => (pbx = port) };
}

async function callThrough(caller: CallerScenario, pbx: PbxScenario, keys: SippKeys = {}) {
  await using bench = await bridge();
  await using answering = await Sipp.start({ scenario: pbx, calls: 1, keys });
  bench.pbxAt(answering.port);
  const called = await runSipp({ scenario: caller, target: { port: bench.port }, keys });
  const answered = await answering.finished();
  await nothingLeft(bench.server);
  return { called, answered };
}

describe('a call through a B2BUA on the embedded server, SIPp at both ends', () => {
  it.each<[string, CallerScenario, PbxScenario, SippKeys?]>([
    ['the caller hangs up', 'caller-call', 'pbx-answers'],
    ['the PBX hangs up', 'caller-waits-for-bye', 'pbx-hangs-up'],
    ['the PBX is busy', 'caller-is-rejected', 'pbx-is-busy'],
    ['the caller cancels while it rings', 'caller-cancels', 'pbx-never-answers'],
    ['the caller holds and resumes by re-INVITE', 'caller-holds', 'pbx-answers'],
    ['the PBX holds and resumes by re-INVITE', 'caller-waits-for-bye', 'pbx-holds'],
    ['the PBX sends early media', 'caller-call', 'pbx-early-media'],
    ['the caller offers in its ACK', 'caller-offers-late', 'pbx-answers'],
    ['the caller sends INFO', 'caller-sends-info', 'pbx-answers'],
  ])('%s: both are content and nothing is left', async (_name, caller, pbx, keys) => {
    const { called, answered } = await callThrough(caller, pbx, keys);
    expect(called, called.errors + called.output).toMatchObject({
      exitCode: 0,
      failed: 0,
      retransmissions: 0,
    });
    expect(answered, answered.errors).toMatchObject({ exitCode: 0, failed: 0, retransmissions: 0 });
  });

  it('the application adds headers to what the caller is told', async () => {
    let pbx = 0;
    const responseHeaders = (answer: SrfResponse) => ({ 'X-Ticket': `7 ${answer.status}` });
    await using bench = await openBench(quick, (srf) => {
      const carry = bridgeTo(srf, () => `sip:200@127.0.0.1:${pbx}`, undefined, { responseHeaders });
      srf.invite((req, res) => void carry(req, res));
    });
    await using answering = await Sipp.start({ scenario: 'pbx-answers', calls: 1 });
    pbx = answering.port;
    const called = await runSipp({ scenario: 'caller-call', target: { port: bench.port } });
    expect(called.exitCode, called.errors).toBe(0);
    const told = called.messages.find(({ startLine }) => startLine.startsWith('SIP/2.0 200'))!;
    expect(told.text).toMatch(/^X-Ticket: 7 200/mu);
    await nothingLeft(bench.server);
  });

  it('carries 150 calls at 50 a second without one failure or retransmission', async () => {
    await using bench = await bridge();
    await using answering = await Sipp.start({ scenario: { builtIn: 'uas' }, calls: 150, limit: 200 });
    bench.pbxAt(answering.port);
    const called = await runSipp({
      scenario: { builtIn: 'uac' },
      target: { port: bench.port },
      calls: 150,
      rate: 50,
      limit: 200,
      args: ['-d', '200'],
    });
    expect(called, called.errors).toMatchObject({ exitCode: 0, successful: 150, failed: 0 });
    await nothingLeft(bench.server);
  });

  it('hangs up on the PBX when the caller is gone before the application listens', async () => {
    await using bench = await bridge();
    await using answering = await Sipp.start({ scenario: { builtIn: 'uas' }, calls: 60, limit: 200 });
    bench.pbxAt(answering.port);
    const args = ['-d', '0'];
    const target = { port: bench.port };
    const called = await runSipp({
      scenario: { builtIn: 'uac' },
      target,
      calls: 60,
      rate: 60,
      limit: 200,
      args,
    });
    expect(called.failed).toBe(0);
    const { successful, errors } = await answering.finished();
    expect(successful, errors).toBe(60);
    await nothingLeft(bench.server);
  });
});

describe('an application whose connection dies', () => {
  it('in the middle of a call: both sides get BYE, which says why', async () => {
    const bridged = Promise.withResolvers<undefined>();
    await using bench = await bridge(() => bridged.resolve(undefined));
    await using answering = await Sipp.start({ scenario: 'pbx-answers', calls: 1 });
    bench.pbxAt(answering.port);
    await using calling = await Sipp.start({
      scenario: 'caller-waits-for-bye',
      target: { port: bench.port },
    });
    await Promise.all([bridged.promise, calling.saw(/^ACK /mu), answering.saw(/^ACK /mu)]);
    bench.srf.disconnect();
    for (const side of [calling, answering]) {
      const result = await side.finished();
      expect(result, result.errors).toMatchObject({ exitCode: 0, failed: 0 });
      const byes = result.messages.filter(({ startLine }) => startLine.startsWith('BYE '));
      // A telephone that is late by T1, 50 ms here, is sent its BYE again.
      expect(new Set(byes.map(({ direction, text }) => `${direction}: ${text}`)).size).toBe(1);
      expect(byes[0]!.direction).toBe('received');
      expect(byes[0]!.text).toMatch(/^Reason: SIP;cause=200;text="application lost"/mu);
    }
    await nothingLeft(bench.server);
  });

  it('while it rings: the PBX gets CANCEL, the caller 503', async () => {
    await using bench = await bridge();
    await using answering = await Sipp.start({ scenario: 'pbx-never-answers', calls: 1 });
    bench.pbxAt(answering.port);
    await using calling = await Sipp.start({
      scenario: 'caller-is-rejected',
      target: { port: bench.port },
      keys: { status: '503 Service Unavailable' },
    });
    await calling.saw(/^SIP\/2\.0 180/mu);
    bench.srf.disconnect();
    const called = await calling.finished();
    expect(called, called.errors).toMatchObject({ exitCode: 0, failed: 0 });
    const answered = await answering.finished();
    expect(answered, answered.errors).toMatchObject({ exitCode: 0, failed: 0 });
    await nothingLeft(bench.server);
  });
});

/** Stands before a peer and loses the first copy of every message, both ways. */
async function lossyRelay(to: () => number): Promise<{ port: number; lost: () => number } & AsyncDisposable> {
  const seen = new Set<string>();
  const outer = createSocket('udp4');
  const inner = createSocket('udp4');
  let from = 0;
  const passes = (bytes: Buffer): boolean => {
    const text = bytes.toString('latin1');
    if (text.trim() === '') return false;
    if (seen.has(text)) return true;
    seen.add(text);
    return false;
  };
  outer.on('message', (bytes, { port }) => {
    if (bytes.length > 4) from = port;
    if (passes(bytes)) inner.send(bytes, to(), '127.0.0.1');
  });
  inner.on('message', (bytes) => {
    if (passes(bytes)) outer.send(bytes, from, '127.0.0.1');
  });
  for (const socket of [outer, inner]) {
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  }
  return {
    port: outer.address().port,
    lost: () => seen.size,
    [Symbol.asyncDispose]: async () => {
      for (const socket of [outer, inner]) await new Promise<void>((resolve) => socket.close(resolve));
    },
  };
}

describe('a network that loses the first copy of everything', () => {
  it.each(['caller', 'PBX'] as const)(
    'on the side of the %s: the call goes on, by retransmission',
    async (side) => {
      await using bench = await bridge();
      // SIPp repeats its 180 while it rings only: long enough for the INVITE to come three times, however busy the machine is.
      const keys = { ring_ms: 1_500 };
      await using answering = await Sipp.start({ scenario: 'pbx-answers', calls: 3, keys });
      await using relay = await lossyRelay(() => (side === 'PBX' ? answering.port : bench.port));
      bench.pbxAt(side === 'PBX' ? relay.port : answering.port);
      const called = await runSipp({
        scenario: { builtIn: 'uac' },
        target: { port: side === 'caller' ? relay.port : bench.port },
        calls: 3,
        // Longer than SIPp waits before it repeats the 200 whose ACK got lost.
        args: ['-d', '1500'],
      });
      expect(called, called.errors).toMatchObject({ exitCode: 0, successful: 3, failed: 0 });
      expect((await answering.finished()).successful).toBe(3);
      expect(relay.lost()).toBeGreaterThan(8);
      expect(bench.server.statistics().retransmissions).toBeGreaterThan(2);
      await nothingLeft(bench.server);
    },
  );
});

describe('an application that answers or calls by itself', () => {
  it('answers, is told of the BYE, and answers OPTIONS', async () => {
    let ended = 0;
    await using bench = await openBench(quick, (srf) => {
      srf.options((_req, res) => res.send(200));
      srf.invite((req, res) => {
        void srf
          .createUAS(req, res, { localSdp: req.body })
          .then((dialog) => dialog.on('destroy', () => (ended += 1)));
      });
    });
    const asked = await runSipp({ scenario: 'caller-asks-options', target: { port: bench.port } });
    expect(asked.exitCode, asked.errors).toBe(0);
    const called = await runSipp({ scenario: 'caller-call', target: { port: bench.port } });
    expect(called.exitCode, called.errors).toBe(0);
    await until(() => ended === 1, 'the end of the call');
    await nothingLeft(bench.server);
  });

  it('calls, offers anew by re-INVITE, and hangs up', async () => {
    await using bench = await openBench(quick);
    await using pbx = await Sipp.start({ scenario: 'pbx-answers', calls: 1 });
    const localSdp = [
      'v=0',
      'o=- 1 1 IN IP4 127.0.0.1',
      's=-',
      'c=IN IP4 127.0.0.1',
      't=0 0',
      'm=audio 9 RTP/AVP 8',
      '',
    ];
    const dialog = await bench.srf.createUAC(`sip:1@127.0.0.1:${pbx.port}`, {
      localSdp: localSdp.join('\r\n'),
    });
    const answer = await dialog.modify(localSdp.join('\r\n'));
    expect(answer).toContain('m=audio');
    await hangUp(dialog);
    expect((await pbx.finished()).exitCode).toBe(0);
    await nothingLeft(bench.server);
  });

  it('is told 408 when a PBX rings nobody, 64*T1 after the INVITE', async () => {
    await using bench = await openBench({ timers: { t1Ms: 10 } });
    const silent = await openBench({ accept: () => false });
    const failure = bench.srf.createUAC(`sip:1@127.0.0.1:${silent.port}`, { localSdp: 'v=0\r\n' });
    await expect(failure).rejects.toMatchObject({ status: 408 });
    await silent[Symbol.asyncDispose]();
    await nothingLeft(bench.server);
  });
});
