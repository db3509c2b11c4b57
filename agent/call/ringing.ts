/** While the agent's telephone rings: what a caller hears to whom we have spoken already. */
import type { Dialled } from '../sip/edge.ts';
import { callRoute } from './routes.ts';
import type { SelectedCall } from './selected.ts';

/** Calls the PBXs of the route; meanwhile the caller hears our ringing, or what a PBX plays before it answers. */
export async function ringAgent(
  { invite, media, house }: SelectedCall,
  ended: AbortSignal,
): Promise<Dialled> {
  const hushed = new AbortController();
  const tone = { plan: house.config.sip.ringingTone, kind: 'ringing' } as const;
  const ringing = media.caller.playTone(tone, AbortSignal.any([hushed.signal, ended]));
  let early = Promise.resolve();
  try {
    return await callRoute(invite, house, {
      body: async (to) => ({ sdp: await media.agent.offer(undefined, to.srtp) }),
      onProgress: (_status, sdp) => {
        if (sdp === undefined) return;
        early = early
          .then(async () => {
            await media.agent.accept(sdp);
            hushed.abort();
            await ringing;
            await media.connect();
          })
          .catch((error: unknown) =>
            house.log.warn({ call: invite.call, err: error }, 'early media not usable'),
          );
      },
      onRetry: async () => {
        await early;
        await media.disconnect();
      },
      ended,
    });
  } finally {
    hushed.abort();
    await ringing;
    await early;
  }
}
