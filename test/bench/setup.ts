/**
 * What Tacet adds to a call's set-up: SIPp loads a plain `createB2BUA` on the embedded SIP server and Tacet in turns, at
 * the same rate and on the same core; a probe (one socket that is caller and PBX at once) measures the time from an INVITE
 * handed over to the INVITE sent on. The figures are those of all turns together.
 */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort, freePortRange } from '../peers/free-port.ts';
import { Program } from '../peers/program.ts';
import { temporaryFolder } from '../peers/temporary-folder.ts';
import { B2buaUnderTest, core } from './b2bua-under-test.ts';
import { load, quantile, round, step } from './sip.ts';
import { openInviteProbe, type InviteProbe } from './invite-probe.ts';
import { startFlags } from './start-flags.ts';

/**
 * More than any one site has, and with the probes a third of what Tacet sustains on a slow core: at 100 the two wait in a queue
 * of other lengths there, and that would be the difference.
 */
const cps = 50;
const turns = 6;
const secondsPerTurn = 8;
/** Until then much of the time goes into compiling, and the heap grows into memory that the kernel must find first. */
const warmUp = { cps: 100, seconds: 40 };

export async function run(say: (line: string) => void): Promise<Record<string, unknown>> {
  await using home = await temporaryFolder('bench-setup');
  await using probe = await openInviteProbe();
  const site = { sipPort: await freePort(), carrierPort: await freePort(), pbxPort: await freePort() };
  const configFile = await writeSite(home.path, probe.port, site);
  await using plain = await B2buaUnderTest.start();
  const command = new URL('../../agent/cli/tacet.ts', import.meta.url).pathname;
  const start = [process.execPath, ...startFlags, command, 'start', '--config', configFile];
  await using tacet = await Program.start('taskset', ['-c', core, ...start]);
  await tacet.printed(/"msg":"ready"/u);
  const loaded = (each: { cps: number; seconds: number }) => loadTacet(tacet.pid, each, probe, site);
  await step(plain, warmUp.cps, warmUp.seconds);
  await loaded(warmUp);

  const waits = { plain: [] as number[], tacet: [] as number[] };
  const cpu = { plain: [] as number[], tacet: [] as number[] };
  let failed = 0;
  for (let turn = 1; turn <= turns; turn += 1) {
    const bare = await step(plain, cps, secondsPerTurn);
    const ours = await loaded({ cps, seconds: secondsPerTurn });
    failed += bare.failed + ours.failed;
    waits.plain.push(...bare.waits);
    waits.tacet.push(...ours.waits);
    cpu.plain.push(bare.cpuMsPerCall);
    cpu.tacet.push(ours.cpuMsPerCall);
    say(`turn ${turn}: p99 plain ${bare.p99Ms} ms, Tacet ${quantile(ours.waits, 0.99)} ms`);
  }
  const figures = (name: 'plain' | 'tacet') => {
    const sorted = waits[name].sort((a, b) => a - b);
    return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), cpu: mean(cpu[name]) };
  };
  const [bare, ours] = [figures('plain'), figures('tacet')];
  return {
    plainP99Ms: bare.p99,
    tacetP99Ms: ours.p99,
    addedP99Ms: round(ours.p99 - bare.p99),
    cps,
    plainP50Ms: bare.p50,
    tacetP50Ms: ours.p50,
    plainCpuMsPerCall: bare.cpu,
    tacetCpuMsPerCall: ours.cpu,
    failed,
  };
}

async function loadTacet(
  pid: number,
  { cps, seconds }: { cps: number; seconds: number },
  probe: InviteProbe,
  { sipPort, carrierPort, pbxPort }: { sipPort: number; carrierPort: number; pbxPort: number },
) {
  const before = cpuMsOf(pid);
  const { calls, successful, waits } = await load({
    cps,
    seconds,
    target: sipPort,
    pbxPort,
    carrierPort,
    service: '+33800000001',
    probe,
    probed: '+33899999999',
  });
  return {
    failed: calls - successful + waits.lost,
    waits: waits.sorted,
    cpuMsPerCall: round((cpuMsOf(pid) - before) / (calls + waits.sorted.length / 3)),
  };
}

/** CPU of a process since its start (proc(5): utime and stime, in ticks of 10 ms). */
export function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function mean(values: readonly number[]): number {
  return round(values.reduce((sum, value) => sum + value, 0) / values.length);
}

export async function writeSite(
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
