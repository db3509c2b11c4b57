/** Opens the media plane that the configuration names, and what hears voices on it. */
import type { Logger } from 'pino';
import { loadRefusalWords } from '../config/refusal-words.ts';
import type { Config } from '../config/schema.ts';
import type { MediaPlane } from '../media/plane.ts';
import type { EpochOffset } from '../media/relay/clock.ts';
import { openRelay } from '../media/relay/relay.ts';
import { openRtpengine } from '../media/rtpengine/rtpengine.ts';
import { Voices } from '../media/voice/voices.ts';
import type { Metrics } from './telemetry/metrics.ts';

/**
 * Opens what hears voices, and says when it hears none any more: keys are then the only refusal.
 *
 * @throws ConfigInvalid when the words of refusals cannot be read
 */
export async function openVoices(
  servers: Config['recognisers'],
  log: Logger,
  metrics: Metrics,
): Promise<Voices> {
  const voices = new Voices({
    onLost: (reason) => log.error({ reason }, 'nobody is heard by voice any more: a refusal needs a key'),
    recogniser: servers.length === 0 ? undefined : { servers, words: await loadRefusalWords() },
    onFault: (server, fault, detail) => {
      metrics.recogniserFault(server, fault);
      log.warn({ server, fault, detail }, 'a speech server is lost to a call: any speech is a refusal');
    },
    onFinal: (verdict) => metrics.recogniserFinal(verdict),
  });
  metrics.watchVoices(() => voices.hears);
  await voices.ready;
  return voices;
}

export async function openMedia(
  media: Config['media'],
  epochOffset: EpochOffset,
  metrics: Metrics,
  log: Logger,
): Promise<MediaPlane> {
  if (media.plane === 'relay') return openRelay({ ...media, epochOffset });
  const plane = await openRtpengine({
    servers: media.rtpengine,
    address: media.address,
    latching: media.latching,
    epochOffset,
    onServer: ({ server, up, why }) => {
      if (up) log.info({ server }, 'rtpengine takes calls');
      else log.error({ server, why }, 'rtpengine takes no calls: without another server nothing is recorded');
    },
  });
  metrics.watchRtpengine(() => plane.servers());
  return plane;
}
