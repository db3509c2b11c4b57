/**
 * The real programs that the tests talk to, run by `pretest`: fast when all are there; on Debian, as root, they are
 * installed; elsewhere one line says what is missing and how to get it.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { argv, env, exit, getuid } from 'node:process';
import { pathToFileURL } from 'node:url';

export interface SystemPackage {
  program: string;
  /** One package or several, with spaces between. */
  debian: string;
  /** What needs it: `npm test`, or `npm run bench` only. */
  usedBy: 'tests' | 'benches';
}

export const systemPackages: readonly SystemPackage[] = [
  { program: 'sipp', debian: 'sip-tester', usedBy: 'tests' },
  { program: 'baresip', debian: 'baresip-core', usedBy: 'tests' },
  { program: 'linphonec', debian: 'linphone-cli', usedBy: 'tests' },
  { program: 'kamailio', debian: 'kamailio', usedBy: 'tests' },
  { program: 'redis-server', debian: 'redis-server', usedBy: 'tests' },
  { program: 'redis-cli', debian: 'redis-tools', usedBy: 'tests' },
  { program: 'tshark', debian: 'tshark', usedBy: 'tests' },
  { program: 'ffmpeg', debian: 'ffmpeg', usedBy: 'tests' },
  { program: 'sox', debian: 'sox', usedBy: 'tests' },
  { program: 'promtool', debian: 'prometheus', usedBy: 'tests' },
  { program: 'kamailio', debian: 'kamailio kamailio-tls-modules', usedBy: 'tests' },
  { program: 'dnsmasq', debian: 'dnsmasq-base', usedBy: 'tests' },
  { program: 'openssl', debian: 'openssl', usedBy: 'tests' },
  { program: 'gcc', debian: 'gcc', usedBy: 'benches' },
  { program: 'espeak-ng', debian: 'espeak-ng', usedBy: 'benches' },
  { program: 'flite', debian: 'flite', usedBy: 'benches' },
  { program: 'text2wave', debian: 'festival festvox-kallpc16k', usedBy: 'benches' },
  { program: 'rtpengine', debian: 'rtpengine-daemon', usedBy: 'tests' },
];

/** The packages whose program is on none of the folders of `path`. */
export function missingPackages(
  packages: readonly SystemPackage[],
  path: string,
  isExecutable = executable,
): SystemPackage[] {
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  return packages.filter(({ program }) => !folders.some((folder) => isExecutable(join(folder, program))));
}

/** The command that a person types to get them. */
export function installCommand(packages: readonly SystemPackage[]): string {
  const names = packages.map(({ debian }) => debian).join(' ');
  return `apt-get update && apt-get install -y --no-install-recommends ${names}`;
}

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Installs without a question and without a started service. @returns what apt said, when it failed */
function install(packages: readonly SystemPackage[]): string | undefined {
  // A package's script asks this file before it starts its daemon; 101 is "forbidden" (Debian policy, invoke-rc.d).
  // One that is there already is the machine's owner's word, and is left alone.
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const names = packages.flatMap(({ debian }) => debian.split(' '));
    for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...names]]) {
      const done = spawnSync(
        'apt-get',
        ['-q', '-o', 'Dpkg::Use-Pty=0', '-o', 'DPkg::Lock::Timeout=300', ...args],
        {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'pipe'],
          env: { ...env, DEBIAN_FRONTEND: 'noninteractive' },
        },
      );
      if (done.status !== 0) return `${done.stdout}${done.stderr}${done.error?.message ?? ''}`;
    }
    return undefined;
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}

/** @returns the exit code */
function ensure(usedBy: readonly SystemPackage['usedBy'][]): number {
  const wanted = systemPackages.filter((one) => usedBy.includes(one.usedBy));
  const path = env['PATH'] ?? '';
  const missing = missingPackages(wanted, path);
  if (missing.length === 0) return 0;
  const programs = missing.map(({ program }) => program).join(', ');
  const canInstall =
    getuid?.() === 0 &&
    missingPackages([{ program: 'apt-get', debian: 'apt', usedBy: 'tests' }], path).length === 0;
  if (!canInstall) {
    console.error(`the tests need ${programs}; on Debian, as root: ${installCommand(missing)}`);
    return 1;
  }
  console.log(`installing what the tests talk to: ${missing.map(({ debian }) => debian).join(' ')}`);
  const said = install(missing);
  const still = missingPackages(missing, path);
  if (said === undefined && still.length === 0) return 0;
  if (said !== undefined) console.error(said);
  console.error(`could not install ${programs}; try yourself: ${installCommand(missing)}`);
  return 1;
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  exit(ensure(argv.includes('--benches') ? ['tests', 'benches'] : ['tests']));
}
