/** Opens the media plane that the configuration names. */
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import type { MediaPlane } from '../media/plane.ts';
import type { EpochOffset } from '../media/relay/clock.ts';
import { openRelay } from '../media/relay/relay.ts';
import { openRtpengine } from '../media/rtpengine/rtpengine.ts';
import type { Metrics } from './telemetry/metrics.ts';

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
