/** A site's own speech models (sherpa-onnx) in a process beside the agent, which speaks to it as to any speech server. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { TacetError } from '../../config/errors.ts';
import { firstWord, watchChild, type Launched } from '../watched-child.ts';

/** The process ended before it was ready: the package is not installed, or a model cannot be run. */
export class SpeechDidNotStart extends TacetError {
  constructor(folders: readonly string[], code: number, said: string) {
    super(
      `speech recognition with ${folders.join(', ')} did not start (exit ${code}): ${said || 'it said nothing'}. ` +
        'Until it does, any speech is a refusal where a recogniser was to understand it',
    );
  }
}

export interface SpeechProcess extends AsyncDisposable {
  /** `ws://`, one for each folder. */
  readonly urls: readonly string[];
  /** Of the process that runs now. */
  readonly pid: number;
}

interface Ready {
  port: number;
}

/** So much of what it said last is kept: the reason, where it does not start. */
const keptChars = 600;

/**
 * Starts it, waits until its models are loaded, and keeps it running.
 *
 * @param onDeath it ended by itself and is started anew in the same place: until then streams to it are lost
 * @throws SpeechDidNotStart
 */
export async function startSpeechProcess(
  folders: readonly string[],
  onDeath: (code: number | undefined) => void,
): Promise<SpeechProcess> {
  const child = await watchChild<Ready>((first) => launch(folders, first?.port ?? 0), onDeath);
  const { port } = child.ready;
  return {
    urls: folders.map((_, index) => `ws://127.0.0.1:${port}/${index}`),
    get pid() {
      return child.pid;
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

async function launch(folders: readonly string[], port: number): Promise<Launched<Ready>> {
  const child = fork(fileURLToPath(new URL('./sherpa/main.ts', import.meta.url)), {
    env: { ...process.env, TACET_SPEECH: JSON.stringify({ folders, port }) },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // The terminal's Ctrl-C is for the agent.
    detached: true,
  });
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-keptChars);
  });
  const ready = await firstWord<Ready>(child);
  if (typeof ready !== 'number') return { child, ready };
  throw new SpeechDidNotStart(folders, ready, said.trim().replaceAll(/\s+/gu, ' '));
}
