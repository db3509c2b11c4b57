import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { installCommand, missingPackages, systemPackages } from './system-packages.ts';

const [sipp, baresip] = systemPackages;
const script = new URL('system-packages.ts', import.meta.url).pathname;

describe('the programs that the tests need', () => {
  it('are looked for in every folder of the path', () => {
    const there = new Set(['/usr/local/bin/sipp']);
    const missing = missingPackages([sipp!, baresip!], '/usr/bin::/usr/local/bin', (file) => there.has(file));
    expect(missing).toEqual([baresip]);
  });

  it('are named with the command that installs them', () => {
    expect(installCommand([sipp!, baresip!])).toBe(
      'apt-get update && apt-get install -y --no-install-recommends sip-tester baresip-core',
    );
  });

  it('are all here, and then nothing is said', async () => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [script]);
    expect(stdout + stderr).toBe('');
  });

  it('are asked for in one line where they cannot be installed', async () => {
    const run = promisify(execFile)(process.execPath, [script], { env: { PATH: '/nowhere' } });
    await expect(run).rejects.toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^the tests need sipp, .*apt-get install .*sip-tester.*\n$/u) as string,
    });
  });
});
