/**
 * What Tacet adds to a call's set-up: SIPp loads first a plain `createB2BUA` on the embedded SIP server, then Tacet, at
 * the same stepped rates in one run, each on the same core; a probe (one socket that is caller and PBX at once) measures the
 * time from an INVITE handed over to the INVITE sent on. The figures are those of the highest rate at which no call failed.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort, freePortRange } from '../peers/free-port.ts';
import { Program } from '../peers/program.ts';
import { Sipp, runSipp } from '../peers/sipp.ts';
import { temporaryFolder } from '../peers/temporary-folder.ts';
import { B2buaUnderTest, core } from './b2bua-under-test.ts';
import { quantile, step } from './sip.ts';
import { openInviteProbe, type InviteProbe } from './invite-probe.ts';

const ratesCps = [50, 100, 150, 200, 250, 300];
const secondsPerStep = 6;
const holdMs = 500;

export async function run(say: (line: string) => void): Promise<Record<string, unknown>> {
  await using home = await temporaryFolder('bench-setup');
  await using probe = await openInviteProbe();
  const site = { sipPort: await freePort(), carrierPort: await freePort(), pbxPort: await freePort() };
  const configFile = await writeSite(home.path, probe.port, site);
  await using plain = await B2buaUnderTest.start();
  const command = new URL('../../agent/cli/tacet.ts', import.meta.url).pathname;
  const start = [process.execPath, command, 'start', '--config', configFile];
  await using tacet = await Program.start('taskset', ['-c', core, ...start]);
  await tacet.printed(/"msg":"ready"/u);
  // The first calls of a process are compiled.
  await step(plain, 50, 3);
  await load(50, probe, site);

  let best: Record<string, unknown> = { cps: 0 };
  for (const cps of ratesCps) {
    const before = await step(plain, cps, secondsPerStep);
    const ours = await load(cps, probe, site);
    say(`${cps} calls/s: plain ${JSON.stringify(before)}, Tacet ${JSON.stringify(ours)}`);
    if (before.failed + ours.failed > 0) break;
    const addedP99Ms = Math.round((ours.p99Ms - before.p99Ms) * 100) / 100;
    best = { plainP99Ms: before.p99Ms, tacetP99Ms: ours.p99Ms, addedP99Ms, cps };
  }
  return best;
}

async function load(
  cps: number,
  probe: InviteProbe,
  site: { sipPort: number; carrierPort: number; pbxPort: number },
) {
  const calls = cps * secondsPerStep;
  await using _pbx = await Sipp.start({
    scenario: { builtIn: 'uas' },
    port: site.pbxPort,
    limit: calls,
    quiet: true,
  });
  const over = new AbortController();
  const loading = runSipp({
    scenario: { builtIn: 'uac' },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    calls,
    rate: cps,
    limit: cps * 10,
    quiet: true,
    args: ['-d', String(holdMs)],
    timeoutMs: 60_000,
  }).finally(() => over.abort());

  const latencies: number[] = [];
  let lost = 0;
  while (!over.signal.aborted) {
    const latency = await probe.probe({ port: site.sipPort }, '+33899999999');
    if (latency === undefined) lost++;
    else latencies.push(latency);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { failed, successful } = await loading;
  latencies.sort((a, b) => a - b);
  return {
    failed: failed + lost + (successful < calls ? calls - successful - failed : 0),
    p99Ms: quantile(latencies, 0.99),
  };
}

async function writeSite(
  folder: string,
  probePort: number,
  { sipPort, carrierPort, pbxPort }: { sipPort: number; carrierPort: number; pbxPort: number },
): Promise<string> {
  const peer = (name: string, port: number, routes: string[]) => ({
    name,
    sources: ['127.0.0.1'],
    ports: [port],
    uri: `sip:127.0.0.1:${port}`,
    routes,
    health: { intervalSeconds: 0 },
  });
  await mkdir(join(folder, 'data'));
  await writeFile(
    join(folder, 'campaigns.yaml'),
    stringify({
      campaigns: [
        {
          name: 'bench',
          direction: 'inbound',
          match: { called: ['+338*'] },
          rate: 0,
          purpose: 'training',
          controller: 'Bench',
          // SIPp's built-in caller has a name and no number: it is drawn all the same, as real callers are.
          unknownNumbers: 'as-market',
        },
      ],
    }),
  );
  const configFile = join(folder, 'tacet.yaml');
  await writeFile(
    configFile,
    stringify({
      dataDir: join(folder, 'data'),
      campaigns: 'campaigns.yaml',
      sip: { listen: [{ address: '127.0.0.1', port: sipPort }] },
      trunks: [peer('carrier', carrierPort, ['pbx']), peer('probe', probePort, ['probe-pbx'])],
      pbxs: [peer('pbx', pbxPort, ['carrier']), peer('probe-pbx', probePort, [])],
      media: { ports: await freePortRange(40) },
      http: { port: 0 },
    }),
  );
  return configFile;
}
