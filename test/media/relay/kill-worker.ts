/** How a media worker dies in a test, by a fault of its own: nothing in it waits for such an order. */
import type { MediaSession, Played } from '../../../media/plane.ts';
import type { Prompt } from '../../../media/prompts/prompt.ts';

/** A prompt with a frame that no packet has room for: what a worker does not expect. */
const frames = { bytes: new SharedArrayBuffer(100_000), starts: new SharedArrayBuffer(8) };
new Uint32Array(frames.starts)[1] = 100_000;
const encoded = { PCMA: frames, PCMU: frames, G722: frames, OPUS: frames };
const broken: Prompt = { name: 'broken', hash: '00', durationMs: 20, encoded };

/** Kills the worker that a session of the relay lives in, and with it all of its sessions. */
export function killWorker(session: MediaSession): Promise<Played> {
  return session.caller.play(broken, new AbortController().signal);
}
