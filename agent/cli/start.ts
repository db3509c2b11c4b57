/** `tacet start`: runs the agent until SIGTERM or SIGINT, which drain it; a second signal ends running calls at once. */
import { loadConfig } from '../../config/load.ts';
import { putCallsFirst } from '../helper-threads.ts';
import { startTacet } from '../main.ts';
import { onlyConfig } from './options.ts';

export async function start(words: string[]): Promise<number> {
  putCallsFirst();
  await using tacet = await startTacet(await loadConfig(onlyConfig(words)));
  const signal = await nextSignal();
  tacet.log.info({ signal, calls: tacet.callsInProgress }, 'draining');
  const impatient = new AbortController();
  void nextSignal().then(() => impatient.abort());
  await tacet.drain(impatient.signal);
  return 0;
}

function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    const caught = (signal: string): void => {
      process.off('SIGTERM', caught);
      process.off('SIGINT', caught);
      resolve(signal);
    };
    process.on('SIGTERM', caught);
    process.on('SIGINT', caught);
  });
}
