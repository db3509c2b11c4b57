/** Where a call goes: the peers of its route, one after the other until one takes it. */
import type { Dialled } from '../sip/edge.ts';
import type { Invite } from '../sip/invite.ts';
import type { House } from './house.ts';

export interface RouteOptions {
  /** The body for the next peer; asked again for each, since an anchored offer may have changed by early media. */
  body: () => Promise<{ sdp: string | undefined; contentType?: string | undefined }>;
  onProgress: (status: number, sdp: string | undefined) => void;
  /** Called before the next peer is tried. */
  onRetry?: () => Promise<void>;
  ended: AbortSignal;
}

/** Statuses that another peer may do better than (RFC 3261 section 21): not the callee's own word. */
function worthRetrying(status: number): boolean {
  return status === 408 || (status >= 500 && status !== 501 && status < 600);
}

/**
 * Sends the call to the peers of its route in order. A peer that does not answer within the configured time has let it
 * ring: the callee's absence, not the peer's fault, so no other is tried (480).
 */
export async function callRoute(invite: Invite, house: House, options: RouteOptions): Promise<Dialled> {
  const ringing = new AbortController();
  const timer = setTimeout(() => ringing.abort(), house.config.sip.answerTimeoutSeconds * 1_000);
  const signal = AbortSignal.any([options.ended, ringing.signal]);
  const noRoute = `no route from ${invite.from.name}`;
  let last: Dialled = { kind: 'failed', status: 404, reason: noRoute, headers: {} };
  try {
    for (const [attempt, to] of invite.from.routes.entries()) {
      if (attempt > 0) await options.onRetry?.();
      const { onProgress } = options;
      last = await house.edge.dial({ to, invite, ...(await options.body()), onProgress }, signal);
      if (last.kind === 'given-up' && ringing.signal.aborted) {
        return { kind: 'failed', status: 480, reason: 'Temporarily Unavailable', headers: {} };
      }
      if (last.kind !== 'failed' || !worthRetrying(last.status)) return last;
      house.log.warn({ call: invite.call, peer: to.name, status: last.status }, 'peer failed');
    }
    return last;
  } finally {
    clearTimeout(timer);
  }
}
