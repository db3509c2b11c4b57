/** The store as a child process: the default where one machine is enough. The agent never loads what can read (I7). */
import { fork } from 'node:child_process';
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
  readonly pid: number;
  /** Exit code, or undefined when a signal ended it. */
  readonly exited: Promise<number | undefined>;
}

export interface StoreProcessOptions {
  directory: string;
  /** Given again when a store that died is started anew in the same place. */
  port?: number;
  token?: string;
}

/** Starts it and waits until it listens. @throws StoreDidNotStart */
export async function startStoreProcess({
  directory,
  port = 0,
  token = randomBytes(24).toString('hex'),
}: StoreProcessOptions): Promise<StoreProcess> {
  const child = fork(fileURLToPath(new URL('../store/main.ts', import.meta.url)), {
    env: { ...process.env, TACET_STORE: JSON.stringify({ directory, token, port }) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // The terminal's Ctrl-C is for the agent, which ends the store when its recordings are closed.
    detached: true,
  });
  const exited = once(child, 'exit').then(([code]) => (typeof code === 'number' ? code : undefined));
  const ready = once(child, 'message').then(([message]) => message as { url: string; publicKey: string });
  const started = await Promise.race([ready, exited]);
  if (typeof started !== 'object')
    throw new StoreDidNotStart(`the recording store in ${directory} did not start (exit ${started})`);
  return {
    ...started,
    token,
    pid: child.pid!,
    exited,
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
