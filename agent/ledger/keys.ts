/** The keys of a site's ledger, made at its first start: one that signs entries, one that hides numbers. */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { normaliseNumber } from '../../config/number.ts';
import { syncDirectory } from './append-file.ts';

const publicKeyFile = 'ledger.pub';

export interface SigningKey {
  privateKey: KeyObject;
  publicKey: KeyObject;
}

/** Ed25519. The private key is `ledger.key` (0600); auditors get `ledger.pub`. */
export async function openSigningKey(directory: string): Promise<SigningKey> {
  const pem = await readOrMake(directory, 'ledger.key', () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  const privateKey = createPrivateKey(pem);
  const publicKey = createPublicKey(privateKey);
  await readOrMake(
    directory,
    publicKeyFile,
    () => publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    0o644,
  );
  return { privateKey, publicKey };
}

/** The key that entries of a ledger are checked with; undefined when the folder holds none. */
export async function readPublicKey(directory: string): Promise<KeyObject | undefined> {
  const pem = await readIfThere(join(directory, publicKeyFile));
  return pem === undefined ? undefined : createPublicKey(pem);
}

/**
 * What ledger and store know a person by: HMAC-SHA-256 of the normalised number under the site's key, so that the same
 * person is the same pseudonym on this site and nobody without the key can try numbers against it.
 */
export async function openPseudonyms(directory: string): Promise<(number: string) => string> {
  const secret = await readOrMake(directory, 'pseudonym.key', () => randomBytes(32).toString('base64'));
  const key = createSecretKey(secret, 'base64');
  return (number) => createHmac('sha256', key).update(normaliseNumber(number)).digest('hex').slice(0, 32);
}

/** A key is complete or not there: it gets its name only when it is on stable storage. */
async function readOrMake(
  directory: string,
  name: string,
  make: () => string,
  mode = 0o600,
): Promise<string> {
  const path = join(directory, name);
  const existing = await readIfThere(path);
  if (existing !== undefined) return existing;
  const made = make();
  const file = await open(`${path}.new`, 'w', mode);
  try {
    await file.writeFile(made);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncDirectory(directory);
  return made;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
