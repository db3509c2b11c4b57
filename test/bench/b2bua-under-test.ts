/** Starts the plain B2BUA on one core, and this process with all that it starts on the others. */
import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Order, Weight } from './b2bua.ts';
import { startFlags } from './start-flags.ts';

/** What is weighed runs here, all else elsewhere. */
export const core = '0';
const otherCores = '1';

export class B2buaUnderTest implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(nodeArguments: readonly string[] = []): Promise<B2buaUnderTest> {
    execFileSync('taskset', ['-pc', otherCores, `${process.pid}`]);
    const child = fork(fileURLToPath(new URL('./b2bua.ts', import.meta.url)), {
      execPath: 'taskset',
      execArgv: ['-c', core, process.execPath, '--expose-gc', ...startFlags, ...nodeArguments],
    });
    const [ready] = (await once(child, 'message')) as [Weight];
    return new B2buaUnderTest(child, ready.port);
  }

  async ask(order: Order): Promise<Weight> {
    const answered = once(this.#child, 'message');
    this.#child.send(order);
    const [weight] = (await answered) as [Weight];
    return weight;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    await exited;
  }
}
