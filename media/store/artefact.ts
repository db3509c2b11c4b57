/** What is listened to: made of a recording's journal after the call, beside its place, so that a half-made one is none. */
import { createHash, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { RecordingEnd, RecordingHeader } from '../fork/sink.ts';
import { align } from '../rtp/alignment.ts';
import type { RecordingDetails } from './catalogue.ts';
import { writeSynced } from './durable.ts';
import { readJournal } from './journal.ts';
import { openFile, sealFile } from './sealed-file.ts';
import { stereoWav } from './wav.ts';

/** What an artefact is made of, and under which names its files are written. */
export interface ArtefactOrder {
  header: RecordingHeader;
  key: KeyObject;
  /** May be missing: a call of which nothing came has an empty recording. */
  journalPath: string;
  audioPath: string;
  metadataPath: string;
}

/**
 * Makes both files, brings them to stable storage and reads the audio back. How the recording ended is what its journal
 * says; nothing there means that it was interrupted.
 *
 * @throws SealedFileBroken, BatchMalformed
 */
export function makeArtefact(order: ArtefactOrder): RecordingDetails {
  const { header, key, journalPath, audioPath, metadataPath } = order;
  const { batches, gaps, end } = existsSync(journalPath)
    ? readJournal(journalPath, key)
    : { batches: [], gaps: [], end: undefined };
  const { codecs, startedAt } = header;
  const aligned = align({ batches, gaps, codecs, startedAt, endedAt: end?.totals.stoppedAt });
  const wav = stereoWav(aligned.samples, aligned.rate);
  const details = {
    end,
    durationMs: aligned.durationMs,
    storedMs: aligned.storedMs,
    gaps: aligned.gaps,
    firstPacketAt: aligned.firstPacketAt,
    hash: createHash('sha256').update(wav).digest('hex'),
    undecoded: aligned.undecoded,
  };
  writeSynced(audioPath, sealFile(key, 'audio', wav));
  const metadata = Buffer.from(JSON.stringify({ header, ...details }));
  writeSynced(metadataPath, sealFile(key, 'metadata', metadata));
  // Read back before the journal goes: what cannot be read was never kept.
  openFile(key, 'audio', readFileSync(audioPath));
  return details;
}

/** Whether a recording went on to its own end. */
export function wasInterrupted(end: RecordingEnd | undefined): boolean {
  return end === undefined || end.reason === 'interrupted' || end.reason === 'media-lost';
}
