/** Changes on this machine's disk: the only place without Redis, and with it what an agent knew when it ended. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TacetError, messageOf } from '../../config/errors.ts';
import { AppendFile, syncDirectory } from '../ledger/append-file.ts';
import { lockDirectory } from '../ledger/writer-lock.ts';
import { ChangesUnavailable, type ChangeListener, type ChangeLog } from './change-log.ts';
import { changeSchema, type Change } from './changes.ts';

/** A line of the journal is not what was written: who is stopped or protected cannot be known. */
export class ChangeJournalCorrupt extends TacetError {
  readonly file: string;
  readonly line: number;
  constructor(file: string, line: number) {
    super(
      `${file} line ${line} is damaged; restore the file, or move it away to begin with the campaigns file`,
    );
    this.file = file;
    this.line = line;
  }
}

export class ChangeJournal implements ChangeLog {
  readonly #path: string;
  readonly #lock: Disposable;
  #file: AppendFile;
  #changes: Change[];
  #told: number;
  #listener: ChangeListener | undefined;

  private constructor(path: string, file: AppendFile, lock: Disposable, read: Read) {
    this.#path = path;
    this.#file = file;
    this.#lock = lock;
    this.#changes = read.changes;
    this.#told = read.told;
  }

  /** @throws ChangeJournalCorrupt, AlreadyRunning */
  static async open(directory: string): Promise<ChangeJournal> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    using lock = new DisposableStack();
    const held = lock.use(lockDirectory(directory));
    const path = join(directory, 'changes.journal');
    const { file, lines } = await AppendFile.open(path);
    try {
      const journal = new ChangeJournal(path, file, held, readLines(path, lines));
      lock.move();
      return journal;
    } catch (error) {
      await file[Symbol.asyncDispose]();
      throw error;
    }
  }

  get changes(): readonly Change[] {
    return this.#changes;
  }

  get isCurrent(): boolean {
    return true;
  }

  get told(): number {
    return this.#told;
  }

  listen(listener: ChangeListener): void {
    this.#listener = listener;
  }

  catchUp(): Promise<void> {
    return Promise.resolve();
  }

  async append(change: Change): Promise<boolean> {
    await this.add([change]);
    return true;
  }

  /** Keeps what is known from elsewhere. */
  async add(changes: readonly Change[]): Promise<void> {
    await this.#write(changes.map((change) => ({ change })));
    this.#changes.push(...changes);
    this.#listener?.added(changes);
  }

  /** Begins anew with what is known elsewhere. The old journal stands until the new one is complete. */
  async replace(changes: readonly Change[], told: number): Promise<void> {
    const next = `${this.#path}.new`;
    await rm(next, { force: true });
    const { file } = await AppendFile.open(next);
    await file.append([...changes.map((change) => ({ change })), { told }].map(lineOf).join(''));
    await rename(next, this.#path);
    await syncDirectory(dirname(this.#path));
    await this.#file[Symbol.asyncDispose]();
    this.#file = file;
    this.#changes = [...changes];
    this.#told = told;
    this.#listener?.replaced(changes);
  }

  async markTold(count: number): Promise<void> {
    await this.#write([{ told: count }]);
    this.#told = count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
    this.#lock[Symbol.dispose]();
  }

  async #write(lines: readonly object[]): Promise<void> {
    try {
      await this.#file.append(lines.map(lineOf).join(''));
    } catch (error) {
      throw new ChangesUnavailable(messageOf(error));
    }
  }
}

interface Read {
  changes: Change[];
  told: number;
}

function readLines(path: string, lines: readonly string[]): Read {
  const read: Read = { changes: [], told: 0 };
  for (const [index, text] of lines.entries()) {
    try {
      const line = JSON.parse(text) as { change?: unknown; told?: number };
      if (line.told === undefined) read.changes.push(changeSchema.parse(line.change));
      else read.told = line.told;
    } catch {
      throw new ChangeJournalCorrupt(path, index + 1);
    }
  }
  return read;
}

function lineOf(line: object): string {
  return `${JSON.stringify(line)}\n`;
}
