/** `tacet recordings`: what the store holds, and how to hear it. Runs where the store is: only there are its keys (I7). */
import { writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../config/load.ts';
import type { RecordingId } from '../../config/units.ts';
import { captureOf } from '../../media/rtp/capture.ts';
import { openStoreReader, type StoredRecording } from '../../media/store/reader.ts';
import { owe } from '../ledger/owed.ts';
import { configPath } from './options.ts';

const usage =
  'usage: tacet recordings list [--json] | export ID --reason TEXT [--rtp] --out FILE   [--config FILE]';

export async function recordings(words: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      json: { type: 'boolean' },
      out: { type: 'string' },
      reason: { type: 'string' },
      rtp: { type: 'boolean' },
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
  const { out, reason = '' } = values;
  if (what === 'export' && id !== undefined && out !== undefined && reason.trim() !== '') {
    const packets = values.rtp === true;
    const bytes = packets ? captureOf(reader.packets(id)) : reader.read(id);
    const by = userInfo().username;
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
  const lines = rows.map(({ header, state, details }) =>
    [
      header.recording,
      new Date(header.startedAt / 1_000).toISOString(),
      header.campaign,
      state,
      details === undefined ? '-' : `${(details.durationMs / 1_000).toFixed(1)} s`,
      `until ${header.retainUntil.slice(0, 10)}`,
    ].join('  '),
  );
  return lines.join('\n');
}
