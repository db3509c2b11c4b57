/** The store as a child process: the default where one machine is enough. The agent never loads what can read (I7). */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { TacetError } from '../../config/errors.ts';
import { firstWord, watchChild, type Launched } from '../watched-child.ts';

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

interface Ready {
  url: string;
  publicKey: string;
}

/** Starts it, waits until it listens, and keeps it running. @throws StoreDidNotStart */
export async function startStoreProcess({
  directory,
  onDeath = () => undefined,
}: StoreProcessOptions): Promise<StoreProcess> {
  const token = randomBytes(24).toString('hex');
  const child = await watchChild<Ready>(
    (first) => launch(directory, token, first === undefined ? 0 : Number(new URL(first.url).port)),
    onDeath,
  );
  const { url, publicKey } = child.ready;
  return {
    url,
    publicKey,
    token,
    get pid() {
      return child.pid;
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

async function launch(directory: string, token: string, port: number): Promise<Launched<Ready>> {
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
  const ready = await firstWord<Ready>(child);
  if (typeof ready !== 'number') return { child, ready };
  throw new StoreDidNotStart(`the recording store in ${directory} did not start (exit ${ready})`);
}
