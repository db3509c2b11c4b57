/**
 * Calls through a whole Tacet for minutes, as many as a site has in days: the last must cost what the first did. Judged by
 * what is written for a call, which no other work on the machine changes; processor time and memory are told.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../peers/free-port.ts';
import { Program } from '../peers/program.ts';
import { Sipp, runSipp } from '../peers/sipp.ts';
import { temporaryFolder } from '../peers/temporary-folder.ts';
import { cpuMsOf, writeSite } from '../bench/setup.ts';
import { startFlags } from '../bench/start-flags.ts';
import type { Found } from './soak.ts';

const defaultMinutes = 6;
const cps = 50;
const talkMs = 5_000;
/** A snapshot of the sampler's journal falls into one part or the next. */
const allowedRatio = 1.5;

export async function run(minutes = defaultMinutes, say: (line: string) => void): Promise<Found> {
  await using home = await temporaryFolder('soak-calls');
  const site = { sipPort: await freePort(), carrierPort: await freePort(), pbxPort: await freePort() };
  const configFile = await writeSite(home.path, await freePort(), site);
  const command = new URL('../../agent/cli/tacet.ts', import.meta.url).pathname;
  await using tacet = await Program.start(process.execPath, [
    ...startFlags,
    command,
    'start',
    '--config',
    configFile,
  ]);
  await tacet.printed(/"msg":"ready"/u);
  const calls = Math.round(minutes * 60 * cps);
  const timeoutMs = (minutes + 2) * 60_000;
  await using pbx = await Sipp.start({
    scenario: { builtIn: 'uas' },
    port: site.pbxPort,
    limit: calls,
    quiet: true,
    timeoutMs,
  });
  const over = new AbortController();
  const calling = runSipp({
    scenario: { builtIn: 'uac' },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    calls,
    rate: cps,
    limit: calls,
    quiet: true,
    args: ['-d', String(talkMs)],
    timeoutMs,
  }).finally(() => over.abort());

  const quarters = [];
  let before = spent(tacet.pid);
  for (let quarter = 1; quarter <= 4; quarter += 1) {
    await delay((minutes * 60_000) / 4, undefined, { signal: over.signal }).catch(() => undefined);
    const now = spent(tacet.pid);
    quarters.push({
      bytesPerCall: Math.round((4 * (now.bytes - before.bytes)) / calls),
      cpuMsPerCall: Math.round((400 * (now.cpuMs - before.cpuMs)) / calls) / 100,
      residentMiB: now.residentMiB,
    });
    say(`quarter ${quarter}: ${JSON.stringify(quarters.at(-1))}`);
    before = now;
  }
  const called = await calling;
  await pbx.quit();

  const failed = calls - called.successful;
  const [first, last] = [quarters[0]!.bytesPerCall, quarters.at(-1)!.bytesPerCall];
  const faults = [];
  if (failed > 0) faults.push(`${failed} calls failed`);
  if (last > first * allowedRatio)
    faults.push(`a call writes ${last} bytes at the end, ${first} at the start`);
  return { figures: { minutes, cps, calls, failed, quarters }, faults };
}

/** What a process has had since its start (proc(5)): bytes handed to the kernel to write, processor time; and its memory now. */
function spent(pid: number): { bytes: number; cpuMs: number; residentMiB: number } {
  const read = (name: string, of: RegExp): number =>
    Number(of.exec(readFileSync(`/proc/${pid}/${name}`, 'utf8'))![1]);
  return {
    bytes: read('io', /^wchar: (\d+)$/mu),
    cpuMs: cpuMsOf(pid),
    residentMiB: Math.round(read('status', /^VmRSS:\s+(\d+) kB$/mu) / 1_024),
  };
}
