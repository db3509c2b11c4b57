/** `tacet verify`: the ledger against the store, alone. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../config/load.ts';
import { openStoreReader } from '../../media/store/reader.ts';
import type { StoreEvidence } from './audit.ts';
import { configPath } from './options.ts';
import { verify as verifyLedger } from './verify.ts';

export async function verify(words: string[]): Promise<number> {
  const { values } = parseArgs({
    args: words,
    options: { config: { type: 'string' }, json: { type: 'boolean' }, key: { type: 'string' } },
  });
  const { config, directory } = await loadConfig(configPath(values.config));
  const dataDir = resolve(directory, config.dataDir);
  return verifyLedger(
    {
      ledgerDirectory: resolve(dataDir, 'ledger'),
      store: storeEvidence(resolve(dataDir, 'store')),
      ...(values.key === undefined ? {} : { publicKeyFile: values.key }),
      json: values.json ?? false,
    },
    process.stdout,
  );
}

/** What a store's folder says of its recordings. */
export function storeEvidence(storeDirectory: string): StoreEvidence {
  using reader = openStoreReader(storeDirectory);
  return {
    recordings: reader.recordings().map(({ header, state, details, contract }) => ({
      header,
      state,
      firstPacketAt: details?.firstPacketAt,
      contract,
    })),
    tombstones: reader.tombstones().map(({ receipt: { recording, destroyedAt, proof } }) => ({
      recording,
      destroyedAt,
      proof,
    })),
  };
}
