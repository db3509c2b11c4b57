import type {
  InDialogRequest,
  InDialogResponse,
  Leg,
  LegEnd,
  Reoffer,
  ReofferAnswer,
} from '../../../agent/sip/leg.ts';
import type { Digit } from '../../../media/plane.ts';

/** A leg whose far end is played by the test: `log` is what it was asked. */
export function fakeLeg(
  answers: (reoffer: Reoffer) => Promise<ReofferAnswer> | ReofferAnswer = () => ({
    status: 200,
    sdp: 'answer',
  }),
  agreed: { local: string | undefined; remote: string | undefined } = { local: undefined, remote: undefined },
) {
  const ended = new AbortController();
  const log: string[] = [];
  const keyListeners = new Set<(digit: Digit) => void>();
  let reoffered: (reoffer: Reoffer) => Promise<ReofferAnswer> = () =>
    Promise.reject(new Error('not bridged'));
  let requested: (request: InDialogRequest) => Promise<InDialogResponse> = () =>
    Promise.reject(new Error('not bridged'));
  const leg = {
    ended: ended.signal,
    agreed,
    peer: { kind: 'pbx', srtp: 'accept' },
    move: () => void log.push('moved'),
    dialog: { callId: 'call', localTag: 'ours', remoteTag: 'theirs' },
    glareDelayMs: () => 1,
    reoffer: async (reoffer: Reoffer) => {
      log.push(`${reoffer.method} ${reoffer.offer ?? 'offerless'}`);
      return answers(reoffer);
    },
    onReoffer: (handler: typeof reoffered) => void (reoffered = handler),
    onRequest: (handler: typeof requested) => void (requested = handler),
    onIdentity: () => undefined,
    onKey: (listener: (digit: Digit) => void) => {
      keyListeners.add(listener);
      return { [Symbol.dispose]: () => void keyListeners.delete(listener) };
    },
    request: async ({ method, body }: InDialogRequest): Promise<InDialogResponse> => {
      log.push(method);
      return { status: 200, body: body === undefined ? undefined : `answer to ${body}` };
    },
    hangUp: async (reason?: string) => {
      if (ended.signal.aborted) return;
      log.push(`BYE ${reason ?? ''}`.trim());
      ended.abort({ by: 'tacet', reason } satisfies LegEnd);
    },
  } as unknown as Leg;
  return {
    leg,
    log,
    keyListeners,
    peerOffers: (offer: string | undefined, method: Reoffer['method'] = 'INVITE') =>
      reoffered({ method, offer }),
    peerRequests: (method: InDialogRequest['method'], body?: string, headers: Record<string, string> = {}) =>
      requested({ method, headers, body }),
    peerPresses: (digit: Digit) => {
      for (const listener of keyListeners) listener(digit);
    },
    peerHangsUp: (reason?: string) => ended.abort({ by: 'peer', reason } satisfies LegEnd),
  };
}
