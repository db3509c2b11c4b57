/** `tacet recordings`: what the store holds, and how to hear it. Runs where the store is: only there are its keys (I7). */
import { writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { loadConfig } from '../../config/load.ts';
import type { RecordingId } from '../../config/units.ts';
import { captureOf } from '../../media/rtp/capture.ts';
import { retainUntilOf } from '../../media/store/catalogue.ts';
import { openStoreReader, type StoredRecording } from '../../media/store/reader.ts';
import { owe } from '../ledger/owed.ts';
import { keepContract } from './keep-contract.ts';
import { configPath } from './options.ts';

const usage =
  'usage: tacet recordings list [--json] | export ID --reason TEXT [--rtp] --out FILE | ' +
  'keep ID --contract REFERENCE --signed YYYY-MM-DD   [--config FILE]';

export async function recordings(words: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      contract: { type: 'string' },
      json: { type: 'boolean' },
      out: { type: 'string' },
      reason: { type: 'string' },
      rtp: { type: 'boolean' },
      signed: { type: 'string' },
    },
  });
  const { config, directory } = await loadConfig(configPath(values.config));
  const dataDir = resolve(directory, config.dataDir);
  using reader = openStoreReader(resolve(dataDir, 'store'));
  const [what, id] = positionals;
  if (what === 'list') {
    const rows = reader.recordings();
    console.log(values.json === true ? JSON.stringify(rows) : renderList(rows));
    return 0;
  }
  const { out, reason = '', contract = '', signed = '' } = values;
  const by = userInfo().username;
  if (
    what === 'keep' &&
    id !== undefined &&
    contract.trim() !== '' &&
    z.iso.date().safeParse(signed).success
  ) {
    const signature = { recording: id, signedOn: signed, reference: contract, by };
    const until = await keepContract(dataDir, signature, new Date());
    console.log(
      `recording ${id}: kept until ${until} for contract ${contract} (said by ${by}, which the running agent writes into the ledger)`,
    );
    return 0;
  }
  if (what === 'export' && id !== undefined && out !== undefined && reason.trim() !== '') {
    const packets = values.rtp === true;
    const bytes = packets ? captureOf(reader.packets(id)) : reader.read(id);
    const exportedAt = new Date().toISOString();
    await owe(dataDir, { kind: 'recording.exported', recording: id as RecordingId, by, reason, exportedAt });
    await writeFile(out, bytes, { mode: 0o600 });
    const what = packets
      ? 'RTP from 192.0.2.1 (caller) and 192.0.2.2 (agent), as received'
      : 'caller left, agent right';
    console.log(
      `${out}: ${bytes.length} bytes, ${what} (exported by ${by}, which the running agent writes into the ledger)`,
    );
    return 0;
  }
  console.error(usage);
  return 2;
}

function renderList(rows: readonly StoredRecording[]): string {
  if (rows.length === 0) return 'no recordings';
  const lines = rows.map((row) => {
    const { header, state, details } = row;
    return [
      header.recording,
      new Date(header.startedAt / 1_000).toISOString(),
      header.campaign,
      state,
      details === undefined ? '-' : `${(details.durationMs / 1_000).toFixed(1)} s`,
      `until ${retainUntilOf(row).slice(0, 10)}`,
    ].join('  ');
  });
  return lines.join('\n');
}
