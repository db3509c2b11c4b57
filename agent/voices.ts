/** Opens what hears voices, and what understands them: speech servers of the site's, or models that run beside the agent. */
import type { Logger } from 'pino';
import { loadRefusalWords } from '../config/refusal-words.ts';
import type { Config } from '../config/schema.ts';
import { modelIn } from '../media/voice/sherpa/model-folder.ts';
import { startSpeechProcess } from '../media/voice/speech-process.ts';
import { Voices } from '../media/voice/voices.ts';
import type { Metrics } from './telemetry/metrics.ts';

export interface VoicesNeeds {
  recognisers: Config['recognisers'];
  at: (path: string) => string;
  log: Logger;
  metrics: Metrics;
}

/**
 * Opens what hears voices, and says when it hears none any more: keys are then the only refusal.
 *
 * @param starting what is opened for it ends with this
 * @throws ConfigInvalid when the words of refusals cannot be read, ModelFolderUnusable
 */
export async function openVoices(starting: AsyncDisposableStack, needs: VoicesNeeds): Promise<Voices> {
  const { recognisers, log, metrics } = needs;
  const servers = await understanding(starting, needs);
  const voices = starting.use(
    new Voices({
      onLost: (reason) => log.error({ reason }, 'nobody is heard by voice any more: a refusal needs a key'),
      recogniser: recognisers.length === 0 ? undefined : { servers, words: await loadRefusalWords() },
      onFault: (url, fault, detail) => {
        const server = servers.find((each) => each.url === url)?.model ?? url;
        metrics.recogniserFault(server, fault);
        log.warn({ server, fault, detail }, 'a speech server is lost to a call: any speech is a refusal');
      },
      onFinal: (verdict) => metrics.recogniserFinal(verdict),
    }),
  );
  metrics.watchVoices(() => voices.hears);
  await voices.ready;
  return voices;
}

interface Understanding {
  url: string;
  languages: Config['recognisers'][number]['languages'];
  /** The folder, where it runs beside us. */
  model?: string;
}

/** Who understands speech, in the order of the configuration; models that cannot be run are left out, which is logged. */
async function understanding(
  starting: AsyncDisposableStack,
  { recognisers, at, log }: VoicesNeeds,
): Promise<Understanding[]> {
  const folders = recognisers.flatMap(({ model }) => (model === undefined ? [] : [at(model)]));
  const urls = folders.length === 0 ? [] : await run(starting, folders, log);
  return recognisers.flatMap(({ url, model, languages }): Understanding[] => {
    if (url !== undefined) return [{ url, languages }];
    const own = urls.shift();
    return own === undefined || model === undefined ? [] : [{ url: own, languages, model }];
  });
}

async function run(starting: AsyncDisposableStack, folders: string[], log: Logger): Promise<string[]> {
  for (const folder of folders) await modelIn(folder);
  try {
    const speech = await startSpeechProcess(folders, (code) =>
      log.error({ code }, 'speech recognition ended by itself and is started again: any speech is a refusal'),
    );
    return [...starting.use(speech).urls];
  } catch (error) {
    log.error({ err: error }, 'nobody is understood by the models of this site');
    return [];
  }
}
