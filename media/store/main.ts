/** The store as a process of its own. Options come in the environment; where it listens goes to the parent by IPC. */
import { setPriority } from 'node:os';
import { z } from 'zod';
import { startStore } from './server.ts';

const options = z.strictObject({
  directory: z.string(),
  token: z.string(),
  host: z.string().optional(),
  port: z.int().optional(),
});
const { directory, token, host, port } = options.parse(JSON.parse(process.env['TACET_STORE'] ?? '{}'));

// Beside the relay on a full machine it is recordings that wait: what is not acknowledged is in the spool (I4).
setPriority(0, 2);

const store = await startStore({
  directory,
  token,
  ...(host === undefined ? {} : { host }),
  ...(port === undefined ? {} : { port }),
  onProblem: (problem) => console.error(JSON.stringify({ level: 'warn', part: 'store', problem })),
});
process.send?.({ url: store.url, publicKey: store.publicKey });

let ending = false;
async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  await store[Symbol.asyncDispose]();
  process.exit(0);
}
// The agent's end of the channel is gone: it stopped, or was killed. The journals are whole either way.
process.on('disconnect', () => void end());
process.on('SIGTERM', () => void end());
process.on('SIGINT', () => undefined);
