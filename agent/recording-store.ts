/** The recording store that the configuration asks for, a child process or another host, and the link to it. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { TacetError } from '../config/errors.ts';
import type { LoadedConfig } from '../config/load.ts';
import { openStoreLink, type LinkEvent, type StoreLink } from '../media/fork/store-link.ts';
import { startStoreProcess, type StoreProcess } from '../media/fork/store-process.ts';
import type { SiteLedger } from './ledger/ledger.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** The store's public key is needed to seal what waits for it on disk. */
class StoreKeyMissing extends TacetError {}

/** What opening a part asks of the composition root. */
export interface PartNeeds {
  config: LoadedConfig['config'];
  dataDir: string;
  at: (path: string) => string;
  log: Logger;
  ledger: SiteLedger;
  metrics: Metrics;
}

/** Opens the link; what was started ends with `starting`. @throws StoreKeyMissing */
export async function openStore(
  starting: AsyncDisposableStack,
  { config, dataDir, at, log, ledger, metrics }: PartNeeds,
): Promise<{ link: StoreLink; store: StoreProcess | undefined }> {
  const { url, token, publicKeyFile, spoolMegabytes } = config.store;
  const onDeath = (code: number | undefined): void =>
    log.error(
      { code },
      'the recording store ended by itself and is started again: calls go on, recordings spool',
    );
  const store =
    url === undefined
      ? starting.use(await startStoreProcess({ directory: resolve(dataDir, 'store'), onDeath }))
      : undefined;
  if (store === undefined && publicKeyFile === undefined) {
    throw new StoreKeyMissing(
      'store.publicKeyFile is needed with store.url: the spool is sealed to that key',
    );
  }
  const link = starting.use(
    openStoreLink({
      url: store?.url ?? url!,
      token: store?.token ?? token!,
      agentId: config.site,
      bootId: randomUUID(),
      spool: {
        directory: resolve(dataDir, 'spool'),
        maxBytes: spoolMegabytes * 1024 * 1024,
        sealTo: store?.publicKey ?? (await readFile(at(publicKeyFile!), 'utf8')).trim(),
      },
      onEvent: (event) => tellLink(event, { log, ledger, metrics }),
    }),
  );
  return { link, store };
}

function tellLink(
  event: LinkEvent,
  { log, ledger, metrics }: Pick<PartNeeds, 'log' | 'ledger' | 'metrics'>,
): void {
  switch (event.kind) {
    case 'connected':
      return log.info('recording store connected');
    case 'destroyed':
      metrics.recordingDestroyed(event.owed?.reason ?? 'refused');
      if (event.owed !== undefined) {
        // Asked for before, perhaps by a former run: the proof that came late belongs into the evidence all the same.
        ledger
          .append({ kind: 'recording.destroyed', ...event.owed, proof: event.receipt.proof })
          .catch((error: unknown) => log.error({ err: error }, 'ledger cannot be written'));
      }
      return log.info(event, 'recording destroyed');
    case 'destroy-pending':
      return log.error(event, 'the store has not confirmed a destruction; it is tried again until it does');
    case 'disconnected':
    case 'unreachable':
    case 'malformed':
    case 'stream-failed':
      return log.warn(event, 'recording store');
  }
}
