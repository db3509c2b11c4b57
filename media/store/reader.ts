/** Reading a store's folder: for the CLI at the store, never for the agent (I7). Works beside a running store. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { TacetError } from '../../config/errors.ts';
import { Catalogue, type CatalogueRow, type Tombstone } from './catalogue.ts';
import { decodeBatch, type BatchedPacket } from '../fork/batch.ts';
import { openJournal } from './journal.ts';
import { KeyRing } from './keyring.ts';
import { readSealed, SealedFileBroken } from './sealed-file.ts';

/** There is no such recording, or nothing to listen to yet. */
export class RecordingUnreadable extends TacetError {}

export type StoredRecording = CatalogueRow;

export interface StoreReader extends Disposable {
  recordings(): StoredRecording[];
  tombstones(): Tombstone[];
  /** The WAV. @throws RecordingUnreadable, KeyDestroyed, SealedFileBroken */
  read(id: string): Buffer;
  /**
   * The packets, as received, in the order of their arrival. Kept only where a codec was heard that we do not decode.
   *
   * @throws RecordingUnreadable, KeyDestroyed, SealedFileBroken
   */
  packets(id: string): BatchedPacket[];
}

export function openStoreReader(directory: string): StoreReader {
  const path = join(directory, 'catalogue.sqlite');
  if (!existsSync(path))
    return {
      recordings: () => [],
      tombstones: () => [],
      read: nothing,
      packets: nothing,
      [Symbol.dispose]: () => undefined,
    };
  const catalogue = new Catalogue(path, { readOnly: true });
  return {
    recordings: () => catalogue.all(),
    tombstones: () => catalogue.tombstones(),
    read(id) {
      const row = catalogue.get(id);
      if (row === undefined) return nothing(id);
      if (row.details === undefined) throw new RecordingUnreadable(`recording ${id} is still being made`);
      const path = join(directory, 'objects', `${id}.wav.sealed`);
      const wav = Buffer.concat([...readSealed(path, new KeyRing(directory).open(id), 'audio')]);
      if (createHash('sha256').update(wav).digest('hex') !== row.details.hash)
        throw new SealedFileBroken(`recording ${id} was changed`);
      return wav;
    },
    packets(id) {
      if (catalogue.get(id) === undefined) return nothing(id);
      const path = join(directory, 'journal', `${id}.journal`);
      if (!existsSync(path))
        throw new RecordingUnreadable(`recording ${id} was all decoded: it is kept as sound, not as packets`);
      using journal = openJournal(path, new KeyRing(directory).open(id));
      return Array.from(journal.batches, (batch) => decodeBatch(batch))
        .flat()
        .sort((a, b) => a.sequence - b.sequence);
    },
    [Symbol.dispose]: () => catalogue[Symbol.dispose](),
  };
}

function nothing(id: string): never {
  throw new RecordingUnreadable(`there is no recording ${id}; "recordings list" names those that are kept`);
}
