/** How both parties were heard, at the end of a call that went through us: for the ledger and for metrics. */
import type { Side } from '../../config/units.ts';
import type { MediaSession } from '../../media/plane.ts';
import { estimateQuality, type Quality } from '../../media/rtp/quality.ts';

export type CallQuality = Partial<Record<Side, Quality>>;

/** A side of which nothing arrived is left out. */
export async function judgeQuality(media: MediaSession): Promise<CallQuality> {
  const statistics = await media.statistics();
  const heard: CallQuality = {};
  for (const side of ['caller', 'agent'] as const) {
    const { codec } = media[side];
    if (codec === undefined) continue;
    const quality = estimateQuality({ codec, ...statistics[side] });
    if (quality !== undefined) heard[side] = rounded(quality);
  }
  return heard;
}

/** An estimate does not get truer by digits, and the ledger keeps it for years. */
function rounded({ lossRatio, jitterMs, rFactor, mos }: Quality): Quality {
  return {
    lossRatio: Math.round(lossRatio * 10_000) / 10_000,
    jitterMs: Math.round(jitterMs * 10) / 10,
    rFactor: Math.round(rFactor * 10) / 10,
    mos: Math.round(mos * 100) / 100,
  };
}
