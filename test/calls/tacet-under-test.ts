/** A Tacet of its own for one test: free ports, a temporary folder, SIPp as carrier and as PBX on either side of it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { loadConfig, type LoadedConfig } from '../../config/load.ts';
import { startTacet, type Openers, type Tacet } from '../../agent/main.ts';
import { readLedger } from '../../agent/ledger/read.ts';
import type { LedgerEvent } from '../../agent/ledger/ledger.ts';
import { openStoreReader, type StoredRecording } from '../../media/store/reader.ts';
import { freePort, freePortRange } from '../peers/free-port.ts';
import { temporaryFolder } from '../peers/temporary-folder.ts';

export interface SiteOptions {
  /** Keys of the configuration to put over the site's own. */
  config?: Record<string, unknown>;
  /** Keys of its `sip` to put over the site's own. */
  sip?: Record<string, unknown>;
  /** Keys of the one campaign to put over its own. */
  campaign?: Record<string, unknown>;
  pbxs?: number;
  /** Keys of the one trunk, and of each PBX, to put over their own. */
  trunk?: Record<string, unknown>;
  pbx?: (index: number, port: number) => Record<string, unknown>;
}

/** A site's files and ports; `start` runs Tacet on them, again after it ended if need be. */
export interface Site extends AsyncDisposable {
  readonly folder: string;
  readonly configFile: string;
  readonly carrierPort: number;
  /** A second port that the carrier speaks from: two SIPps of it at once. */
  readonly otherCarrierPort: number;
  readonly pbxPorts: number[];
  readonly sipPort: number;
  load(): Promise<LoadedConfig>;
  start(openers?: Openers): Promise<Tacet>;
  /** Events of the ledger so far, in order. */
  events(): Promise<LedgerEvent[]>;
  recordings(): Promise<StoredRecording[]>;
  /** WAV of a recording. */
  audio(id: string): Promise<Uint8Array>;
}

/** SIPp's scenarios expect an INVITE first. */
const unasked = { intervalSeconds: 0 };

/** Every call of the one campaign is selected unless the test says otherwise. */
export async function prepareSite({
  config = {},
  sip = {},
  campaign = {},
  pbxs = 1,
  trunk = {},
  pbx = () => ({}),
}: SiteOptions = {}): Promise<Site> {
  const home = await temporaryFolder('site');
  const carrierPort = await freePort();
  const otherCarrierPort = await freePort();
  const pbxPorts = await Promise.all(Array.from({ length: pbxs }, () => freePort()));
  const sipPort = await freePort();
  const ports = await freePortRange(40);
  const names = pbxPorts.map((_, index) => `pbx-${index}`);
  const configFile = join(home.path, 'tacet.yaml');
  const dataDir = join(home.path, 'data');
  await mkdir(dataDir);
  await writeFile(
    configFile,
    stringify({
      site: 'test',
      dataDir,
      campaigns: 'campaigns.yaml',
      sip: { listen: [{ address: '127.0.0.1', port: sipPort }], answerTimeoutSeconds: 5, ...sip },
      trunks: [
        {
          name: 'carrier',
          sources: ['127.0.0.1'],
          ports: [carrierPort, otherCarrierPort],
          uri: `sip:127.0.0.1:${carrierPort}`,
          health: unasked,
          routes: names,
          ...trunk,
        },
      ],
      pbxs: pbxPorts.map((port, index) => ({
        name: names[index],
        sources: ['127.0.0.1'],
        ports: [port],
        uri: `sip:127.0.0.1:${port}`,
        health: unasked,
        routes: ['carrier'],
        ...pbx(index, port),
      })),
      media: { ports },
      http: { port: 0 },
      drainSeconds: 5,
      logLevel: process.env['TACET_TEST_LOG'] ?? 'silent',
      ...config,
    }),
  );
  await writeFile(
    join(home.path, 'campaigns.yaml'),
    stringify({
      campaigns: [
        {
          name: 'support-fr',
          direction: 'inbound',
          match: { called: ['+338*'] },
          rate: 1,
          legalText: 'a text of this test',
          // Law packs past their review carry what was declared before; a test must not end with them.
          declaredOn: '2026-11-23',
          purpose: 'training',
          controller: 'Marco SA',
          announcement: { prompt: 'fr-object', graceMs: 200 },
          // SIPp's callers talk from the answer on.
          refusalVoice: 'none',
          ...campaign,
        },
      ],
    }),
  );
  const load = (): Promise<LoadedConfig> => loadConfig(configFile);
  return {
    folder: home.path,
    configFile,
    carrierPort,
    otherCarrierPort,
    pbxPorts,
    sipPort,
    load,
    start: async (openers) => startTacet(await load(), openers),
    async events() {
      const events: LedgerEvent[] = [];
      for await (const { event } of readLedger(join(dataDir, 'ledger'))) events.push(event);
      return events;
    },
    async recordings() {
      using reader = openStoreReader(join(dataDir, 'store'));
      return reader.recordings();
    },
    async audio(id) {
      using reader = openStoreReader(join(dataDir, 'store'));
      return reader.read(id);
    },
    [Symbol.asyncDispose]: () => home[Symbol.asyncDispose](),
  };
}
