import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';

export interface ProgramOptions {
  cwd?: string;
  env?: Record<string, string>;
}

/** How a program ended: its exit code, or the signal that ended it. */
export interface Exit {
  code: number | undefined;
  signal: NodeJS.Signals | undefined;
}

const running = new Set<Program>();

// A test process that dies must not leave its peers behind.
process.once('exit', () => {
  for (const program of running) program.signal('SIGKILL');
});

/** A real program, run as a peer: its output is kept, and it is gone when the test's block is left (`await using`). */
export class Program implements AsyncDisposable {
  readonly name: string;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #watchers = new Set<() => void>();
  #stdout = '';
  #stderr = '';
  #ended = false;

  private constructor(name: string, child: ChildProcessWithoutNullStreams) {
    this.name = name;
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#wake();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#wake();
    });
    // The program may have closed its input before it reads what we write: its exit says more than EPIPE.
    child.stdin.on('error', () => undefined);
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#ended = true;
        running.delete(this);
        resolve({ code: code ?? undefined, signal: signal ?? undefined });
        this.#wake();
      });
    });
    running.add(this);
  }

  /** Starts `command`. @throws when it cannot be started, e.g. because it is not installed */
  static async start(
    command: string,
    args: readonly string[],
    options: ProgramOptions = {},
  ): Promise<Program> {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: 'pipe',
    });
    const program = new Program(command, child);
    await once(child, 'spawn');
    return program;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Standard output and standard error, for the message of a failed expectation. */
  get output(): string {
    return `${this.#stdout}${this.#stderr}`;
  }

  /** Waits until the output, also what was printed before, matches. @throws when the program ends first, or in time */
  async printed(pattern: RegExp, timeoutMs = 10_000): Promise<RegExpMatchArray> {
    const found = await this.until(
      () => pattern.exec(this.#stdout) ?? pattern.exec(this.#stderr) ?? undefined,
      timeoutMs,
      String(pattern),
    );
    return found;
  }

  /**
   * Waits until `look` gives a value, looking at each output of the program and every 20 ms.
   * @throws when the program ends first, or after `timeoutMs`
   */
  async until<Value>(
    look: () => Value | undefined | Promise<Value | undefined>,
    timeoutMs: number,
    what: string,
  ): Promise<Value> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const value = await look();
      if (value !== undefined) return value;
      if (this.#ended) throw new Error(`${this.name} ended while we waited for ${what}:\n${this.output}`);
      if (performance.now() > deadline) {
        throw new Error(`${this.name}: no ${what} within ${timeoutMs} ms:\n${this.output}`);
      }
      await this.#nextLook();
    }
  }

  write(text: string): void {
    this.#child.stdin.write(text);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** SIGTERM, and SIGKILL when the program is still there after `graceMs`. Resolves when it is gone. */
  async stop(graceMs = 2_000): Promise<Exit> {
    if (!this.#ended) {
      this.signal('SIGTERM');
      // A stopped program (SIGSTOP) takes a SIGTERM only when it goes on.
      this.signal('SIGCONT');
      const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
      await this.exited;
      clearTimeout(timer);
    }
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  #nextLook(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        resolve();
      };
      const timer = setTimeout(look, 20);
      this.#watchers.add(look);
    });
  }
}
