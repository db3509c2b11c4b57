/** The embedded sampler's journal: steps, one a line, each with its checksum; begun anew by a snapshot when it has grown. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { TacetError } from '../../config/errors.ts';
import { AppendFile, syncDirectory } from '../ledger/append-file.ts';
import type { Snapshot, Step, Tally } from './tally.ts';

/** A line in the middle of the journal is not what was written: the counts cannot be trusted. */
export class JournalCorrupt extends TacetError {
  readonly file: string;
  readonly line: number;
  constructor(file: string, line: number) {
    super(
      `${file} line ${line} is damaged; the sample's counts cannot be trusted. ` +
        'Restore the file, or move it away to begin this month with empty counts.',
    );
    this.file = file;
    this.line = line;
  }
}

type Line = { snapshot: Snapshot } | Step;

export class Journal implements AsyncDisposable {
  readonly #path: string;
  readonly #compactBytes: number;
  #file: AppendFile;
  #snapshotBytes: number;

  private constructor(path: string, file: AppendFile, compactBytes: number, snapshotBytes: number) {
    this.#path = path;
    this.#file = file;
    this.#compactBytes = compactBytes;
    this.#snapshotBytes = snapshotBytes;
  }

  /** Opens the journal of a folder and replays it. @throws JournalCorrupt */
  static async open(directory: string, tally: Tally, compactBytes: number): Promise<Journal> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, 'sampling.journal');
    const { file, lines } = await AppendFile.open(path);
    let snapshotBytes = 0;
    for (const [index, text] of lines.entries()) {
      const line = parseLine(text);
      if (line === undefined) {
        await file[Symbol.asyncDispose]();
        throw new JournalCorrupt(path, index + 1);
      }
      if ('snapshot' in line) {
        tally.restore(line.snapshot);
        snapshotBytes = Buffer.byteLength(text) + 1;
      } else tally.apply(line);
    }
    return new Journal(path, file, compactBytes, snapshotBytes);
  }

  /**
   * The steps since the snapshot have grown as long as itself: a busy site's snapshot may be longer than any fixed size, and would be
   * written again with every step.
   */
  get isLong(): boolean {
    return this.#file.size - this.#snapshotBytes >= Math.max(this.#compactBytes, this.#snapshotBytes);
  }

  /** Resolves when the steps are on stable storage; when it throws, none of them is. */
  async append(steps: readonly Step[]): Promise<void> {
    await this.#file.append(steps.map(writtenLine).join(''));
  }

  /** Begins anew with the tally as it is. The old journal stands until the new one is complete. */
  async begin(snapshot: Snapshot): Promise<void> {
    const next = `${this.#path}.new`;
    await rm(next, { force: true });
    const { file } = await AppendFile.open(next);
    try {
      await file.append(writtenLine({ snapshot }));
      await rename(next, this.#path);
      await syncDirectory(dirname(this.#path));
    } catch (error) {
      await file[Symbol.asyncDispose]();
      throw error;
    }
    const old = this.#file;
    this.#file = file;
    this.#snapshotBytes = file.size;
    await old[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}

function writtenLine(line: Line): string {
  const text = JSON.stringify(line);
  return `${checksum(text)} ${text}\n`;
}

function parseLine(text: string): Line | undefined {
  const body = text.slice(9);
  return text.slice(0, 8) === checksum(body) ? (JSON.parse(body) as Line) : undefined;
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
