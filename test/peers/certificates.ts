/** Certificates by the real openssl, of an authority that lives as long as the test. */
import { execFile } from 'node:child_process';
import { copyFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from './temporary-folder.ts';

const run = promisify(execFile);

export interface Issued {
  certificate: string;
  key: string;
}

export interface Authority extends AsyncDisposable {
  /** PEM file of its own certificate. */
  ca: string;
  /**
   * @param names of the subjectAltName, as openssl writes them: `DNS:pbx.test`, `IP:127.0.0.1`, `URI:sip:pbx.test`
   * @param days from now; negative: it has ended
   */
  issue(names: readonly string[], days?: number): Promise<Issued>;
  /** Puts the files of one certificate in the place of another's, as a renewal does. */
  replace(old: Issued, fresh: Issued): Promise<void>;
}

export async function openAuthority(): Promise<Authority> {
  const folder = await temporaryFolder('authority');
  const ca = join(folder.path, 'ca.pem');
  const caKey = join(folder.path, 'ca.key');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await run('openssl', ['req', '-x509', ...newKey, '-keyout', caKey, '-out', ca, '-subj', '/CN=Test CA']);
  let count = 0;
  return {
    ca,
    async issue(names, days = 30) {
      count += 1;
      const [key, request, certificate] = ['key', 'csr', 'pem'].map((ending) =>
        join(folder.path, `${count}.${ending}`),
      ) as [string, string, string];
      await run('openssl', [
        ...['req', '-new', ...newKey, '-keyout', key, '-out', request, '-subj', '/CN=test'],
        ...['-addext', `subjectAltName=${names.join(',')}`],
      ]);
      await run('openssl', [
        ...['x509', '-req', '-in', request, '-CA', ca, '-CAkey', caKey, '-CAcreateserial'],
        ...['-copy_extensions', 'copy', '-days', String(days), '-out', certificate],
      ]);
      return { certificate, key };
    },
    async replace(old, fresh) {
      for (const [from, to] of [
        [fresh.key, old.key],
        [fresh.certificate, old.certificate],
      ] as const) {
        await copyFile(from, `${to}.new`);
        await rename(`${to}.new`, to);
      }
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}
