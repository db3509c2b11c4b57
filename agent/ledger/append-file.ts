/**
 * A file that only grows, line by line, and of which every line that was acknowledged survives a crash. The ledger and
 * the sampler's journal are such files.
 */
import { constants, open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A write is on stable storage when it returns: one turn of the thread pool where a sync of its own would take two. */
const appendDurably = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_DSYNC;

export class AppendFile implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;
  #durable: number;
  /** A write failed half way and its remains could not be cut off yet. */
  #ragged = false;

  private constructor(path: string, file: FileHandle, durable: number) {
    this.path = path;
    this.#file = file;
    this.#durable = durable;
  }

  /**
   * Opens or creates the file, readable by its owner only. A last line without its line feed, and lines behind the last
   * one that may end an append, were never acknowledged (the writer was killed): they are cut off.
   *
   * @param mayEnd whether a line may be the last of an append
   * @returns the file and the lines that it holds, without line feeds
   */
  static async open(
    path: string,
    mayEnd: (line: string) => boolean = () => true,
  ): Promise<{ file: AppendFile; lines: string[] }> {
    const handle = await open(path, appendDurably, 0o600);
    try {
      const content = await readFile(path);
      let whole = content.lastIndexOf(0x0a) + 1;
      const lines = content.subarray(0, whole).toString('utf8').split('\n').slice(0, -1);
      while (lines.length > 0 && !mayEnd(lines.at(-1)!)) {
        lines.pop();
        // A search from before the start would begin at the end.
        whole = lines.length === 0 ? 0 : content.lastIndexOf(0x0a, whole - 2) + 1;
      }
      if (whole < content.length) await handle.truncate(whole);
      await handle.sync();
      await syncDirectory(dirname(path));
      return { file: new AppendFile(path, handle, whole), lines };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Bytes on stable storage. */
  get size(): number {
    return this.#durable;
  }

  /** Appends whole lines; resolves when they are on stable storage. When it throws, none of them is in the file. */
  async append(text: string): Promise<void> {
    if (this.#ragged) await this.#cut();
    const bytes = Buffer.from(text, 'utf8');
    this.#ragged = true;
    try {
      for (let written = 0; written < bytes.length;)
        written += (await this.#file.write(bytes, written)).bytesWritten;
    } catch (error) {
      await this.#cut();
      throw error;
    }
    this.#ragged = false;
    this.#durable += bytes.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #cut(): Promise<void> {
    await this.#file.truncate(this.#durable);
    await this.#file.datasync();
    this.#ragged = false;
  }
}

/** Makes the names in a folder (created, renamed) durable, which syncing the files does not. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
