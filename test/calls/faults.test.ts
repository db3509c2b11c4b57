import { createSocket } from 'node:dgram';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { callAudio } from '../peers/pcap.ts';
import { Program } from '../peers/program.ts';
import { RedisServer } from '../peers/redis.ts';
import { Sipp, runSipp } from '../peers/sipp.ts';
import { prepareSite, type Site } from './tacet-under-test.ts';

const command = new URL('../../agent/cli/tacet.ts', import.meta.url).pathname;

function startAgent(site: Site): Promise<Program> {
  return Program.start(process.execPath, [command, 'start', '--config', site.configFile]);
}

async function sineSite(
  config: Record<string, unknown> = {},
  campaign: Record<string, unknown> = {},
): Promise<Site> {
  const site = await prepareSite({
    config: { logLevel: 'info', ...config },
    campaign: { announcement: { prompt: './prompt.wav', graceMs: 100 }, ...campaign },
  });
  const prompt = join(site.folder, 'prompt.wav');
  await promisify(execFile)('sox', [
    '-n',
    '-r',
    '8000',
    '-c',
    '1',
    '-b',
    '16',
    prompt,
    'synth',
    '0.5',
    'sine',
    '600',
    'vol',
    '0.2',
  ]);
  return site;
}

const talk = (site: Site, talkMs: number) => ({
  pbx: {
    scenario: 'pbx-answers',
    port: site.pbxPorts[0]!,
    calls: 1,
    audio: callAudio({ durationMs: talkMs }),
    keys: { ring_ms: 50 },
  } as const,
  caller: {
    scenario: 'caller-call',
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    keys: { talk_ms: talkMs },
    audio: callAudio({ durationMs: talkMs }),
  } as const,
});

async function metricsOf(agent: Program): Promise<string> {
  const [, port] = await agent.printed(/"http":(\d+)/u);
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

test('after SIGKILL of the agent, what was acknowledged is in the store, closed, marked as interrupted, and readable', async () => {
  await using site = await sineSite();
  await using agent = await startAgent(site);
  await agent.printed(/"msg":"ready"/u);
  const { pbx, caller } = talk(site, 6_000);
  await using _called = await Sipp.start(pbx);
  await using _calling = await Sipp.start(caller);
  await agent.until(
    async () => ((await site.recordings()).some(({ state }) => state === 'open') ? true : undefined),
    10_000,
    'an open recording',
  );
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  agent.signal('SIGKILL');
  await agent.exited;

  await using again = await startAgent(site);
  await again.printed(/"msg":"recording store connected"/u);
  const recording = await again.until(
    async () => (await site.recordings()).find(({ state }) => state === 'interrupted'),
    10_000,
    'the recording to be closed',
  );
  expect(recording.details!.durationMs).toBeGreaterThan(900);
  expect((await site.audio(recording.header.recording)).length).toBeGreaterThan(900 * 32);
  expect((await again.stop(10_000)).code).toBe(0);
  const checked = await Program.start(process.execPath, [command, 'verify', '--config', site.configFile]);
  expect((await checked.exited).code, checked.output).toBe(0);
});

test('SIGTERM lets a call in progress go on to its end, takes no new one, keeps the recording, and exits 0', async () => {
  await using site = await sineSite();
  await using agent = await startAgent(site);
  await agent.printed(/"msg":"ready"/u);
  const { pbx, caller } = talk(site, 3_000);
  await using called = await Sipp.start(pbx);
  await using calling = await Sipp.start(caller);
  await agent.until(
    async () => ((await site.recordings()).length > 0 ? true : undefined),
    10_000,
    'a recording',
  );
  agent.signal('SIGTERM');
  await agent.printed(/"msg":"draining"/u);
  await using late = createSocket('udp4');
  late.bind(0, '127.0.0.1');
  await once(late, 'listening');
  expect((await calling.finished()).exitCode).toBe(0);
  expect((await called.finished()).exitCode).toBe(0);
  expect((await agent.exited).code, agent.output).toBe(0);
  expect(await site.recordings()).toMatchObject([{ state: 'complete' }]);
});

test('a store that dies costs the recording its store, never the call its life, and gets all when it is back', async () => {
  await using site = await sineSite();
  await using tacet = await site.start();
  const { pbx, caller } = talk(site, 3_000);
  await using called = await Sipp.start(pbx);
  const calling = runSipp(caller);
  await expect.poll(() => site.recordings(), { timeout: 10_000 }).toMatchObject([{ state: 'open' }]);
  process.kill(tacet.store!.pid, 'SIGKILL');
  const result = await calling;
  expect(result.exitCode, result.errors).toBe(0);
  expect((await called.finished()).exitCode).toBe(0);
  await tacet.drain();
  expect((await site.events()).at(-1)).toMatchObject({ kind: 'call.ended', outcome: 'recorded' });
  const [recording] = await site.recordings();
  expect(recording).toMatchObject({ state: 'complete' });
  expect(recording!.details!.gaps.filter(({ kind }) => kind === 'lost')).toEqual([]);
});

test('without Redis calls pass unselected', async () => {
  await using redis = await RedisServer.start();
  await using site = await sineSite({ redis: { url: redis.url } });
  await using agent = await startAgent(site);
  await agent.printed(/"msg":"ready"/u);
  await agent.printed(/"available":true/u);
  await redis.kill();
  await agent.printed(/"available":false/u);
  const { pbx, caller } = talk(site, 300);
  {
    await using called = await Sipp.start(pbx);
    const result = await runSipp(caller);
    expect(result.exitCode, result.errors).toBe(0);
    await called.finished();
  }
  const decided = (await site.events()).find((event) => event.kind === 'call.decided');
  expect(decided?.selected).toBe(false);
  // Counters and live changes lie in the same Redis: which of them is missed first is the same to the call.
  expect(['unavailable', 'changes-unknown']).toContain(decided?.reason);
  expect(await metricsOf(agent)).toMatch(/tacet_sampler_available 0/u);
  expect(await site.recordings()).toEqual([]);
  expect((await agent.stop(10_000)).code).toBe(0);
});

test('without Redis a call that the law orders to record is refused, where its campaign says so', async () => {
  await using redis = await RedisServer.start();
  await using site = await sineSite(
    { redis: { url: redis.url } },
    {
      class: 'mandated',
      duty: 'insurance-cold-call',
      purpose: 'legal-obligation',
      legalBasis: 'legal-obligation',
      legalText: 'Code des assurances L112-2-2',
      whenUnrecordable: 'refuse',
    },
  );
  await using agent = await startAgent(site);
  await agent.printed(/"msg":"ready"/u);
  await agent.printed(/"available":true/u);
  await redis.kill();
  await agent.printed(/"available":false/u);
  const result = await runSipp({
    scenario: 'caller-is-rejected',
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    keys: { status: '503 Service Unavailable' },
  });
  expect(result.exitCode, result.errors).toBe(0);
  // Written soon, after the answer.
  await expect
    .poll(async () => (await site.events()).at(-1), { timeout: 10_000 })
    .toMatchObject({ kind: 'call.ended', outcome: 'rejected', answered: false, recorded: false });
  expect(await metricsOf(agent)).toMatch(/tacet_recordings_failed_total\{[^}]*\} 1/u);
  expect((await agent.stop(10_000)).code).toBe(0);
});

test('a stranger gets silence and a known peer that writes nonsense a 400; both are counted and nothing breaks', async () => {
  await using site = await sineSite();
  await using agent = await startAgent(site);
  await agent.printed(/"msg":"ready"/u);
  const invite = `INVITE sip:+33800000001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: nonsense\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n`;
  const heard = { stranger: 0, peer: '' };
  await using stranger = createSocket('udp4');
  await using peer = createSocket('udp4');
  stranger.bind(0, '127.0.0.1');
  peer.bind(site.carrierPort, '127.0.0.1');
  await Promise.all([once(stranger, 'listening'), once(peer, 'listening')]);
  stranger.on('message', () => (heard.stranger += 1));
  stranger.send(invite, site.sipPort, '127.0.0.1');
  peer.send(invite, site.sipPort, '127.0.0.1');
  const [answer] = (await once(peer, 'message')) as [Buffer];
  expect(answer.toString()).toMatch(/^SIP\/2\.0 400 /u);
  expect(heard.stranger).toBe(0);
  const metrics = await metricsOf(agent);
  expect(metrics).toMatch(/tacet_sip_dropped_total\{reason="[^"]+"\} 1/u);
  expect(metrics).toMatch(/tacet_sip_malformed_total [1-9]/u);
});

test('a second start on a taken port says so in one line and exits 1', async () => {
  await using site = await sineSite();
  await using agent = await startAgent(site);
  await agent.printed(/"msg":"ready"/u);
  await using other = await prepareSite({
    config: { logLevel: 'error', sip: { listen: [{ address: '127.0.0.1', port: site.sipPort }] } },
  });
  await using second = await startAgent(other);
  expect((await second.exited).code).toBe(1);
  const lines = second.stderr.trim().split('\n');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(String(site.sipPort));
});

test('a refusal while the store is away is paid when it is back, with its proof in the ledger, over a restart of the agent', async () => {
  await using site = await sineSite();
  {
    await using tacet = await site.start();
    const { pbx, caller } = talk(site, 3_000);
    await using called = await Sipp.start(pbx);
    const refusing = callAudio({ durationMs: 3_000, keys: [{ digit: '2', atMs: 2_200 }] });
    const calling = runSipp({ ...caller, audio: refusing });
    await expect.poll(() => site.recordings(), { timeout: 10_000 }).toMatchObject([{ state: 'open' }]);
    // A stopped store takes nothing and says nothing: the destruction stays owed.
    process.kill(tacet.store!.pid, 'SIGSTOP');
    expect((await calling).exitCode).toBe(0);
    await called.finished();
    await expect
      .poll(async () => (await site.events()).find(({ kind }) => kind === 'recording.destroyed'), {
        timeout: 10_000,
      })
      .toMatchObject({ reason: 'refused' });
    process.kill(tacet.store!.pid, 'SIGKILL');
  }
  await using again = await site.start();
  await expect
    .poll(
      async () => (await site.events()).findLast((event) => event.kind === 'recording.destroyed')?.proof,
      { timeout: 10_000 },
    )
    .toMatch(/^[0-9a-f]{64}$/u);
  expect(await site.recordings()).toEqual([]);
  expect(again.callsInProgress).toBe(0);
});
