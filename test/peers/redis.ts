import { freePort } from './free-port.ts';
import { Program } from './program.ts';
import { temporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

export interface RedisOptions {
  /** Keeps every acknowledged write over a restart (append-only file, synced each time). Off by default. */
  durable?: boolean;
  /** Further arguments, e.g. `['--replicaof', '127.0.0.1', '7000']`. */
  args?: readonly string[];
}

/** A real redis-server on a port of its own, to be stopped, killed, frozen and started again. */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly #folder: TemporaryFolder;
  readonly #options: RedisOptions;
  #program: Program;

  private constructor(program: Program, folder: TemporaryFolder, port: number, options: RedisOptions) {
    this.#program = program;
    this.#folder = folder;
    this.port = port;
    this.#options = options;
  }

  /** Resolves when it accepts connections. */
  static async start(options: RedisOptions = {}): Promise<RedisServer> {
    const port = await freePort();
    const folder = await temporaryFolder('redis');
    try {
      return new RedisServer(await run(port, folder.path, options), folder, port, options);
    } catch (error) {
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** SIGTERM: it says goodbye, and saves if it is durable. */
  async stop(): Promise<void> {
    await this.#program.stop();
  }

  /** SIGKILL: gone without a word. */
  async kill(): Promise<void> {
    this.#program.signal('SIGKILL');
    await this.#program.exited;
  }

  /** SIGSTOP: connections stay open, nothing is answered. */
  freeze(): void {
    this.#program.signal('SIGSTOP');
  }

  thaw(): void {
    this.#program.signal('SIGCONT');
  }

  /** Starts again on the same port, with what was kept, after `stop` or `kill`. */
  async restart(): Promise<void> {
    await this.#program.stop();
    this.#program = await run(this.port, this.#folder.path, this.#options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program.stop();
    await this.#folder[Symbol.asyncDispose]();
  }
}

async function run(port: number, folder: string, options: RedisOptions): Promise<Program> {
  const durable = options.durable === true ? 'yes' : 'no';
  const program = await Program.start('redis-server', [
    ...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
    ...['--appendonly', durable, '--appendfsync', 'always'],
    ...(options.args ?? []),
  ]);
  await program.printed(/Ready to accept connections/u);
  return program;
}
