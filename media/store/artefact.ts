/** What is listened to: made of a recording's journal after the call, beside its place, so that a half-made one is none. */
import { createHash, type Hash, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { RecordingEnd, RecordingHeader } from '../fork/sink.ts';
import { align, type Alignment } from '../rtp/alignment.ts';
import type { RecordingDetails } from './catalogue.ts';
import { openJournal } from './journal.ts';
import { readSealed, writeSealed } from './sealed-file.ts';
import { stereoWavHeader } from './wav.ts';

/** Of the samples under way: a mebibyte, which becomes a sealed chunk. Artefacts are made one after the other. */
const memory = new Int16Array(512 * 1024);

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
export async function makeArtefact(order: ArtefactOrder): Promise<RecordingDetails> {
  const { header, key, journalPath, audioPath, metadataPath } = order;
  using journal = existsSync(journalPath) ? openJournal(journalPath, key) : undefined;
  const end = journal?.end;
  const { codecs, startedAt } = header;
  const aligned = align({
    batches: journal?.batches ?? [],
    gaps: journal?.gaps ?? [],
    codecs,
    startedAt,
    endedAt: end?.totals.stoppedAt,
  });
  const hash = createHash('sha256');
  writeSealed(audioPath, key, 'audio', stereoWav(aligned, await aligned.audio(memory), hash));
  const details = {
    end,
    durationMs: aligned.durationMs,
    storedMs: aligned.storedMs,
    gaps: aligned.gaps,
    firstPacketAt: aligned.firstPacketAt,
    hash: hash.digest('hex'),
    undecoded: aligned.undecoded,
  };
  writeSealed(metadataPath, key, 'metadata', [Buffer.from(JSON.stringify({ header, ...details }))]);
  // Read back before the journal goes: what cannot be read was never kept.
  readThrough(audioPath, key);
  return details;
}

/** The file's pieces, each of which goes into its hash. */
function* stereoWav(
  { rate, length }: Alignment,
  audio: Iterable<Int16Array<ArrayBuffer>>,
  hash: Hash,
): Generator<Uint8Array> {
  const header = stereoWavHeader(rate, length);
  hash.update(header);
  yield header;
  for (const samples of audio) {
    // Little-endian as the file is, on every machine that Node runs on.
    const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
    hash.update(bytes);
    yield bytes;
  }
}

function readThrough(path: string, key: KeyObject): void {
  const pieces = readSealed(path, key, 'audio');
  while (pieces.next().done !== true);
}

/** Whether a recording went on to its own end. */
export function wasInterrupted(end: RecordingEnd | undefined): boolean {
  return end === undefined || end.reason === 'interrupted' || end.reason === 'media-lost';
}
