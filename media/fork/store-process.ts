/** The store as a child process: the default where one machine is enough. The agent never loads what can read (I7). */
import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { TacetError } from '../../config/errors.ts';

/** The store's process ended before it was ready. */
export class StoreDidNotStart extends TacetError {}

export interface StoreProcess extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  /** Raw X25519 key, base64, to which the spool is sealed. */
  readonly publicKey: string;
  /** Of the process that runs now. */
  readonly pid: number;
}

export interface StoreProcessOptions {
  directory: string;
  /** It ended by itself and is started anew in the same place: meanwhile the link spools. */
  onDeath?: (code: number | undefined) => void;
}

const restartMs = 500;

interface Started {
  child: ChildProcess;
  url: string;
  publicKey: string;
}

/** Starts it, waits until it listens, and keeps it running. @throws StoreDidNotStart */
export async function startStoreProcess({ directory, onDeath }: StoreProcessOptions): Promise<StoreProcess> {
  const token = randomBytes(24).toString('hex');
  const closing = new AbortController();
  let current = await launch(directory, token, 0);
  const { url, publicKey } = current;
  const port = Number(new URL(url).port);

  const keep = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      if (current.child.exitCode === null && current.child.signalCode === null)
        await once(current.child, 'exit');
      if (closing.signal.aborted) return;
      onDeath?.(current.child.exitCode ?? undefined);
      await new Promise((resolve) => setTimeout(resolve, restartMs));
      if (closing.signal.aborted) return;
      current = await launch(directory, token, port).catch(() => current);
    }
  };
  const kept = keep();
  return {
    url,
    publicKey,
    token,
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

async function launch(directory: string, token: string, port: number): Promise<Started> {
  const child = fork(fileURLToPath(new URL('../store/main.ts', import.meta.url)), {
    // Files of many recordings are synced beside each other.
    env: {
      ...process.env,
      UV_THREADPOOL_SIZE: '16',
      TACET_STORE: JSON.stringify({ directory, token, port }),
    },
    // Audio on its way is garbage a second later. Unless told that it may wait, V8 marks all that lives once a second for it.
    execArgv: ['--initial-old-space-size=128'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // The terminal's Ctrl-C is for the agent, which ends the store when its recordings are closed.
    detached: true,
  });
  const ready = once(child, 'message').then(([message]) => message as { url: string; publicKey: string });
  const exited = once(child, 'exit').then(([code]) => Number(code));
  const started = await Promise.race([ready, exited]);
  if (typeof started !== 'number') return { child, ...started };
  throw new StoreDidNotStart(`the recording store in ${directory} did not start (exit ${started})`);
}
