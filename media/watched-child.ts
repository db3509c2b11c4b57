/** A child process that is started anew, in the same place, when it ends by itself. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export interface Launched<Ready> {
  child: ChildProcess;
  /** What it said when it was ready. */
  ready: Ready;
}

export interface WatchedChild<Ready> extends AsyncDisposable {
  /** What the first one said: those after it are launched to be the same to whoever uses them. */
  readonly ready: Ready;
  /** Of the process that runs now. */
  readonly pid: number;
}

const restartMs = 500;

/**
 * The first message of a child process, or the status with which it ended before.
 *
 * @returns a number where it ended
 */
export async function firstWord<Ready extends object>(child: ChildProcess): Promise<Ready | number> {
  const ready = once(child, 'message').then(([message]) => message as Ready);
  const exited = once(child, 'exit').then(([code]) => Number(code));
  return await Promise.race([ready, exited]);
}

/**
 * Launches it and keeps it running. It ends when its channel is closed, which is how it is asked to.
 *
 * @param launch given what the first one said, where this is not the first
 * @throws what the first `launch` does
 */
export async function watchChild<Ready>(
  launch: (first: Ready | undefined) => Promise<Launched<Ready>>,
  onDeath: (code: number | undefined) => void,
): Promise<WatchedChild<Ready>> {
  const closing = new AbortController();
  let current = await launch(undefined);
  const { ready } = current;

  const keep = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      if (current.child.exitCode === null && current.child.signalCode === null)
        await once(current.child, 'exit');
      if (closing.signal.aborted) return;
      onDeath(current.child.exitCode ?? undefined);
      await new Promise((resolve) => setTimeout(resolve, restartMs));
      if (closing.signal.aborted) return;
      current = await launch(ready).catch(() => current);
    }
  };
  const kept = keep();
  return {
    ready,
    get pid() {
      return current.child.pid!;
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      if (current.child.connected) current.child.disconnect();
      await kept;
      if (current.child.connected) current.child.disconnect();
    },
  };
}
