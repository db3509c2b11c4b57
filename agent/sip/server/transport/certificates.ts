/** A listener's certificate and key: read, checked, and read again when the files change, without a connection lost. */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { SecureContext, SecureContextOptions } from 'node:tls';
import { TacetError, messageOf } from '../../../../config/errors.ts';

export interface CertificateFiles {
  /** PEM: our certificate, its issuers after it. */
  certificate: string;
  /** PEM, not encrypted. */
  key: string;
  /** PEM: who may sign the certificates of peers; left out: the public authorities that Node brings. */
  ca?: string | undefined;
  minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/** A certificate that cannot be used: unreadable, of another key, past its end or before its beginning. */
export class CertificateRefused extends TacetError {}

export type CertificateEvent =
  | { kind: 'certificate loaded'; file: string; until: Date }
  /** The one before goes on being used. */
  | { kind: 'certificate refused'; file: string; error: unknown };

/** How often the files are looked at; by content, not by inode: a secret's folder may be swapped as a whole. */
const lookEveryMs = 2_000;

export class Certificates implements Disposable {
  readonly #files: CertificateFiles;
  readonly #told: (event: CertificateEvent) => void;
  readonly #changed = new Set<(options: SecureContextOptions) => void>();
  readonly #watched: string[];
  #loaded: Loaded;
  #loading: Promise<void> | undefined;

  private constructor(
    files: CertificateFiles,
    loaded: Loaded,
    everyMs: number,
    told: (event: CertificateEvent) => void,
  ) {
    this.#files = files;
    this.#loaded = loaded;
    this.#told = told;
    this.#watched = [files.certificate, files.key, ...(files.ca === undefined ? [] : [files.ca])];
    for (const file of this.#watched) {
      watchFile(file, { interval: everyMs, persistent: false }, this.#reload);
    }
  }

  /** @throws CertificateRefused */
  static async open(
    files: CertificateFiles,
    told: (event: CertificateEvent) => void,
    everyMs = lookEveryMs,
  ): Promise<Certificates> {
    return new Certificates(files, await load(files, Date.now()), everyMs, told);
  }

  get options(): SecureContextOptions {
    return this.#loaded.options;
  }

  get context(): SecureContext {
    return this.#loaded.context;
  }

  /** End of our certificate. */
  get until(): Date {
    return this.#loaded.until;
  }

  /** Called with what new connections must use from now on. */
  onChange(changed: (options: SecureContextOptions) => void): void {
    this.#changed.add(changed);
  }

  [Symbol.dispose](): void {
    for (const file of this.#watched) unwatchFile(file, this.#reload);
    this.#changed.clear();
  }

  readonly #reload = (): void => {
    // Two files change one after the other: the second change asks again, so the last look sees both.
    this.#loading = (this.#loading ?? Promise.resolve()).then(async () => {
      try {
        this.#loaded = await load(this.#files, Date.now());
        for (const changed of this.#changed) changed(this.#loaded.options);
        this.#told({ kind: 'certificate loaded', file: this.#files.certificate, until: this.until });
      } catch (error) {
        this.#told({ kind: 'certificate refused', file: this.#files.certificate, error });
      }
    });
  };
}

interface Loaded {
  options: SecureContextOptions;
  context: SecureContext;
  until: Date;
}

async function load(files: CertificateFiles, now: number): Promise<Loaded> {
  const refused = (why: string, cause?: unknown): CertificateRefused =>
    new CertificateRefused(`the TLS certificate ${files.certificate} cannot be used: ${why}`, { cause });
  try {
    const cert = await readFile(files.certificate, 'utf8');
    const key = await readFile(files.key, 'utf8');
    const leaf = new X509Certificate(cert);
    const [from, until] = [new Date(leaf.validFrom), new Date(leaf.validTo)];
    if (!leaf.checkPrivateKey(createPrivateKey(key))) throw refused(`${files.key} is the key of another`);
    if (until.getTime() <= now) throw refused(`it ended on ${until.toISOString()}`);
    if (from.getTime() > now) throw refused(`it begins on ${from.toISOString()}`);
    const ca = files.ca === undefined ? undefined : await readFile(files.ca, 'utf8');
    const options = { cert, key, minVersion: files.minVersion, ...(ca === undefined ? {} : { ca }) };
    return { options, context: createSecureContext(options), until };
  } catch (error) {
    throw error instanceof CertificateRefused ? error : refused(messageOf(error), error);
  }
}
