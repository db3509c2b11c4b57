/** Starts the media plane's process on the relay's core, and speaks with it. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Answer, Order } from './relay-process.ts';
import { relayCore } from './rtp-load.ts';
import { startFlags } from './start-flags.ts';

export class MediaUnderTest implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @param cores `one` weighs it against programs on the same core, `all` lets its threads run beside each other */
  static async start(cores: 'one' | 'all' = 'one'): Promise<MediaUnderTest> {
    const pinned = { execPath: 'taskset', execArgv: ['-c', relayCore, process.execPath, ...startFlags] };
    const module = fileURLToPath(new URL('./relay-process.ts', import.meta.url));
    const child = fork(module, cores === 'one' ? pinned : { execArgv: startFlags });
    await once(child, 'spawn');
    return new MediaUnderTest(child);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async ask(order: Order): Promise<Answer> {
    const answer = once(this.#child, 'message');
    const gone = once(this.#child, 'exit').then(() => undefined);
    this.#child.send(order);
    const said = await Promise.race([answer, gone]);
    if (said === undefined) throw new Error('the media plane under test is gone');
    return said[0] as Answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    await exited;
  }
}
