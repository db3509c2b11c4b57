/** Where a call goes: the peers of its route, one after the other until one takes it. */
import type { OnProgress } from '../sip/dial.ts';
import type { Dialled, DialOptions } from '../sip/edge.ts';
import type { Invite } from '../sip/invite.ts';
import { diversionReason, maxRedirections, redirectTargets, type Target } from '../sip/redirect.ts';
import type { Peer } from '../sip/peers.ts';
import type { House } from './house.ts';
import { LinkedAbortController } from './linked-abort.ts';

export interface RouteOptions {
  /** The body for the next peer; asked again for each, since keys and what early media changed are no other peer's business. */
  body: (to: Peer) => Promise<Pick<DialOptions, 'sdp' | 'contentType' | 'headers'>>;
  onProgress: OnProgress;
  /** How UPDATEs of a peer that has not answered yet are answered. */
  onUpdate?: DialOptions['onUpdate'];
  /** Called before the next peer is tried. */
  onRetry?: () => Promise<void>;
  /** Nobody waits for an answer any more: the caller gave up. */
  ended: AbortSignal;
}

type Failed = Extract<Dialled, { kind: 'failed' }>;

/**
 * Statuses that another peer may do better than (RFC 3261 section 21): not the callee's own word. A 408 after it rang is
 * the callee's absence, said by a proxy in front of the PBX: the next PBX would ring the same telephone once more.
 */
function worthRetrying(status: number, rang: boolean): boolean {
  if (status === 408) return !rang;
  return status >= 500 && status !== 501 && status < 600;
}

/**
 * Sends the call to the peers of its route in order, as many as `routing.attempts` allows. A peer that says nothing at
 * all is passed over after `routing.firstResponseMs`; the last one is given all the time that SIP has. A peer that does
 * not answer within the configured time has let it ring: the callee's absence, not the peer's fault, so no other is
 * tried (480).
 */
export async function callRoute(invite: Invite, house: House, options: RouteOptions): Promise<Dialled> {
  const { routing, sip } = house.config;
  using over = new LinkedAbortController(options.ended, house.shutdown);
  let unanswered = false;
  const timer = setTimeout(() => {
    unanswered = true;
    over.abort();
  }, sip.answerTimeoutSeconds * 1_000);
  const attempts = invite.marks.free === 'emergency' ? Infinity : routing.attempts;
  const targets: Target[] = house.edge
    .candidates(invite)
    .slice(0, attempts)
    .map((to) => ({ to, called: invite.calledWhole }));
  const visited = new Set<string>();
  let last: Dialled = { kind: 'failed', status: 404, reason: 'Not Found', headers: {} };
  let rang = false;
  const { onUpdate } = options;
  const onProgress: OnProgress = (...progress) => {
    rang = true;
    options.onProgress(...progress);
  };
  try {
    for (let target = targets.shift(); target !== undefined; target = targets.shift()) {
      if (visited.size > 0) await options.onRetry?.();
      visited.add(`${target.to.name} ${target.called}`);
      const firstResponseMs = targets.length > 0 ? routing.firstResponseMs : undefined;
      const body = await options.body(target.to);
      last = await house.edge.dial(
        { ...target, invite, ...body, firstResponseMs, onProgress, onUpdate },
        over.signal,
      );
      if (last.kind === 'given-up' && unanswered) {
        return { kind: 'failed', status: 480, reason: 'Temporarily Unavailable', headers: {} };
      }
      if (last.kind !== 'failed') return last;
      const next = redirected(last, target, house);
      if (next.length > 0) {
        const fresh = next.filter(({ to, called }) => !visited.has(`${to.name} ${called}`));
        if (fresh.length === 0 || visited.size > maxRedirections) {
          return { kind: 'failed', status: 482, reason: 'Loop Detected', headers: {} };
        }
        targets.unshift(...fresh);
        continue;
      }
      if (!worthRetrying(last.status, rang)) return last;
      house.log.warn({ call: invite.call, peer: target.to.name, status: last.status }, 'peer failed');
    }
    return last;
  } finally {
    clearTimeout(timer);
  }
}

/** Where a 3xx leads, if this peer's are followed. */
function redirected({ status, headers }: Failed, from: Target, { edge }: House): Target[] {
  if (status < 300 || status > 399 || from.to.redirects !== 'follow') return [];
  return redirectTargets(headers['Contact'], from, edge.peers, diversionReason(status));
}
