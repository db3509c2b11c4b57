/** An INVITE of ours: what goes into it, how long it waits, and what comes of it. */
import Srf, { type SrfRequest, type SrfResponse } from 'drachtio-srf';
import { messageOf } from '../../config/errors.ts';
import type { Admission } from './admission.ts';
import { DigestSession } from './digest.ts';
import { verdictOf, type Health } from './health.ts';
import { EarlyDialog, notYet } from './early-dialog.ts';
import type { Invite } from './invite.ts';
import { Leg } from './leg.ts';
import { headerOf } from './headers.ts';
import { outgoingHeaders } from './outgoing-headers.ts';
import type { PassTokens } from './passes.ts';
import { uriTo, wayTo } from './peer-uri.ts';
import type { Peer } from './peers.ts';
import type { AnswerReoffer } from './reoffer.ts';

/** How an outgoing INVITE ended. */
export type Dialled =
  /** `sdp` is empty where everything was agreed before, in reliable responses and UPDATEs. */
  | { kind: 'answered'; leg: Leg; sdp: string }
  /** The INVITE went out without SDP: the far end made the offer, the ACK takes the answer. */
  | {
      kind: 'offered';
      sdp: string;
      branch: string | undefined;
      accept: (answer: string) => Promise<Leg>;
      release: () => Promise<void>;
    }
  | { kind: 'failed'; status: number; reason: string; headers: Record<string, string> }
  | { kind: 'given-up' };

export interface DialOptions {
  to: Peer;
  /** The call that this leg belongs to: numbers and headers are taken from its INVITE. */
  invite: Invite;
  sdp: string | undefined;
  /** Of a body that is not SDP alone, passed through untouched. */
  contentType?: string | undefined;
  /** Besides those of the invite: a Replaces with its dialog renamed. */
  headers?: Record<string, string> | undefined;
  /** User part of the request-URI where it is not the caller's (a redirection). */
  called?: string | undefined;
  /** From where a redirected call was diverted (RFC 5806). */
  diversion?: string | undefined;
  /** How long the peer may say nothing at all, milliseconds; left out: as long as the SIP server waits (32 s). */
  firstResponseMs?: number | undefined;
  onProgress?: OnProgress;
  /** How UPDATEs of a far end that has not answered yet are answered; left out: later, please. */
  onUpdate?: AnswerReoffer | undefined;
}

/** A provisional response: what it says, and who said it. */
export type OnProgress = (
  status: number,
  sdp: string | undefined,
  far: { reliable: boolean; branch: string | undefined; early: Pick<EarlyDialog, 'update'> },
) => void;

/** How an attempt ended, as metrics count it. */
export type AttemptResult =
  | 'answered'
  | 'refused'
  | 'redirected'
  | 'failed'
  | 'no-response'
  | 'unreachable'
  | 'unauthorized'
  | 'full'
  | 'given-up';

export interface Dialler {
  srf: Srf;
  health: Health;
  admission: Admission;
  tokens: PassTokens;
  /** Whether the SIP server tells of a 100 Trying; without it the first sign of life may be long in coming. */
  tellsTrying: boolean;
  onAttempt: (peer: Peer, result: AttemptResult) => void;
}

type Outcome = { kind: 'done'; dialled: Dialled; response?: SrfResponse | undefined } | { kind: 'silent' };

/** A far end that was ringing has this long to confirm our CANCEL before we stop waiting for it. */
const cancelGraceMs = 2_000;
/** Nobody asks for credentials more often than this: once by the peer, once by a proxy before it, once because stale. */
const maxChallenges = 3;

export async function dial(dialler: Dialler, options: DialOptions, signal: AbortSignal): Promise<Dialled> {
  const { to, invite } = options;
  const { onAttempt, admission } = dialler;
  if (signal.aborted) return { kind: 'given-up' };
  const place = invite.marks.free === 'emergency' ? admission.insist(to) : admission.enter(to);
  if (place === undefined) {
    onAttempt(to, 'full');
    return { kind: 'failed', status: 503, reason: 'Service Unavailable', headers: { 'Retry-After': '5' } };
  }
  invite.forgetFarEnd();
  const dialled = await attempt(dialler, options, signal);
  if (dialled.kind === 'answered') {
    dialled.leg.ended.addEventListener('abort', () => place[Symbol.dispose](), { once: true });
    if (dialled.leg.end !== undefined) place[Symbol.dispose]();
  } else if (dialled.kind === 'offered') {
    return {
      ...dialled,
      accept: async (answer) => {
        const leg = await dialled.accept(answer);
        leg.ended.addEventListener('abort', () => place[Symbol.dispose](), { once: true });
        return leg;
      },
      release: async () => {
        place[Symbol.dispose]();
        await dialled.release();
      },
    };
  } else place[Symbol.dispose]();
  return dialled;
}

/** Sends the INVITE, again with credentials when the peer asks for them. */
async function attempt(dialler: Dialler, options: DialOptions, signal: AbortSignal): Promise<Dialled> {
  const { to } = options;
  const { onAttempt, health } = dialler;
  const digest = to.credentials === undefined ? undefined : new DigestSession(to.credentials);
  const headers = outgoingHeaders(options, dialler.tokens);
  let again: Record<string, string> = {};
  for (let challenges = 0; ; challenges += 1) {
    const sent = new Sent();
    const outcome = await inviteOnce(dialler, { ...options, headers, again, digest, sent }, signal);
    if (outcome.kind === 'silent') {
      health.tell(to, { kind: 'failed', why: 'it leaves an INVITE unanswered' });
      onAttempt(to, 'no-response');
      return { kind: 'failed', status: 503, reason: 'Service Unavailable', headers: {} };
    }
    const { dialled, response } = outcome;
    if (dialled.kind !== 'failed') {
      if (dialled.kind !== 'given-up') health.tell(to, { kind: 'alive' });
      onAttempt(to, dialled.kind === 'given-up' ? 'given-up' : 'answered');
      return dialled;
    }
    if (response !== undefined && (dialled.status === 401 || dialled.status === 407)) {
      if (challenges < maxChallenges && sent.request !== undefined && digest?.challenged(response, true)) {
        again = sameCall(sent.request);
        continue;
      }
      onAttempt(to, 'unauthorized');
      // The caller cannot answer a challenge meant for us (RFC 3261 section 22.3: it is not passed on).
      return { kind: 'failed', status: 500, reason: 'Server Internal Error', headers: {} };
    }
    onAttempt(to, judge(to, dialled, response, health));
    return madeUp(response) && dialled.status === 408
      ? { ...dialled, status: 503, reason: 'Service Unavailable' }
      : dialled;
  }
}

/** Tells what a failure says of the peer, and how it is counted. */
function judge(
  to: Peer,
  { status }: Extract<Dialled, { kind: 'failed' }>,
  response: SrfResponse | undefined,
  health: Health,
): AttemptResult {
  if (madeUp(response)) {
    const silent = status === 408;
    health.tell(to, {
      kind: 'failed',
      why: silent ? 'it leaves an INVITE unanswered' : 'it cannot be reached',
    });
    return silent ? 'no-response' : 'unreachable';
  }
  const verdict = verdictOf(status, response?.get('Retry-After'), 'INVITE');
  if (verdict !== undefined) health.tell(to, verdict);
  if (status < 400) return 'redirected';
  return status === 408 || (status >= 500 && status < 600) ? 'failed' : 'refused';
}

/** The server made it up: no peer sent anything (timeout, refused port, unknown name). */
function madeUp(response: SrfResponse | undefined): boolean {
  return response === undefined || response.source_address === '' || response.source_port === 0;
}

interface OneInvite extends DialOptions {
  headers: Record<string, string>;
  again: Record<string, string>;
  digest: DigestSession | undefined;
  sent: Sent;
}

/** An INVITE as it went out, and whether anybody still wants it. */
class Sent {
  request: SrfRequest | undefined;
  givenUp = false;

  /** Cancels it, now or as soon as it is out. */
  giveUp(): void {
    this.givenUp = true;
    this.request?.cancel(() => undefined);
  }

  went(request: SrfRequest): void {
    this.request = request;
    if (this.givenUp) this.giveUp();
  }
}

/**
 * One INVITE until its final response. Returns at once when the caller gives up on a peer that said nothing yet, or when
 * the peer's time for a first word is over: `send` goes on alone and ends what still comes of it.
 */
async function inviteOnce(dialler: Dialler, options: OneInvite, signal: AbortSignal): Promise<Outcome> {
  const { firstResponseMs, sent } = options;
  const left = Promise.withResolvers<'silent' | 'given-up'>();
  const giveUp = (): void => left.resolve('given-up');
  signal.addEventListener('abort', giveUp, { once: true });
  const patience =
    firstResponseMs === undefined || !dialler.tellsTrying
      ? undefined
      : setTimeout(() => left.resolve('silent'), firstResponseMs);
  let spoke = false;
  const running = send(dialler.srf, options, () => {
    spoke = true;
    clearTimeout(patience);
  });
  try {
    const first = await Promise.race([running, left.promise]);
    if (typeof first === 'object') return first;
    sent.giveUp();
    if (spoke) await settled(running, cancelGraceMs);
    return first === 'silent' ? { kind: 'silent' } : { kind: 'done', dialled: { kind: 'given-up' } };
  } finally {
    clearTimeout(patience);
    signal.removeEventListener('abort', giveUp);
  }
}

/** Sends the INVITE and waits for its final response. An answer that crosses the CANCEL of one that is given up is hung up. */
async function send(srf: Srf, options: OneInvite, onWord: () => void): Promise<Outcome> {
  const { to, invite, sdp, sent, digest, onProgress } = options;
  const done = (dialled: Dialled, response?: SrfResponse): Outcome => ({ kind: 'done', dialled, response });
  const uri = uriTo(to, options.called ?? invite.calledWhole);
  const marks = invite.correlation.marks('far', to, digest);
  let early: EarlyDialog | undefined;
  try {
    const dialled = await srf.createUAC(
      uri,
      {
        headers: { ...options.headers, ...digest?.sign('INVITE', uri), ...options.again },
        ...(sdp === undefined ? { noAck: true } : { localSdp: sdp }),
        ...wayTo(to),
      },
      {
        cbRequest: (_error, request) => sent.went(request),
        cbProvisional: (response) => {
          onWord();
          if (sent.givenUp || response.status === 100) return;
          invite.farEndSaid(response, to);
          // Only now: drachtio-srf listens for UPDATEs by itself from the INVITE on.
          if (early === undefined) {
            early = new EarlyDialog(srf, response.req, 'us', marks);
            early.onUpdate(options.onUpdate ?? notYet);
          }
          const { status, body } = response;
          onProgress?.(status, body === '' ? undefined : body, {
            reliable: headerOf(response, 'RSeq') !== undefined,
            branch: branchOf(response),
            early,
          });
        },
      },
    );
    if ('ack' in dialled && 'sdp' in dialled) {
      const { ack, sdp: offer, destroy, res } = dialled;
      if (sent.givenUp) {
        await destroy();
        return done({ kind: 'given-up' });
      }
      invite.farEndSaid(res, to);
      const accept = async (answer: string): Promise<Leg> =>
        new Leg(await ack(answer), to, marks, early?.agreed(branchOf(res)));
      return done({ kind: 'offered', sdp: offer, branch: branchOf(res), accept, release: destroy });
    }
    const agreed = early?.agreed(branchOf(dialled.res));
    const leg = new Leg(dialled, to, marks, agreed);
    if (sent.givenUp) {
      await leg.hangUp();
      return done({ kind: 'given-up' });
    }
    invite.farEndSaid(dialled.res, to);
    return done({ kind: 'answered', leg, sdp: agreed === undefined ? dialled.remote.sdp : '' });
  } catch (error) {
    if (sent.givenUp) return done({ kind: 'given-up' });
    if (!(error instanceof Srf.SipError)) {
      return done({ kind: 'failed', status: 503, reason: messageOf(error), headers: {} });
    }
    const { status, reason, res } = error;
    if (res !== undefined) invite.farEndSaid(res, to);
    return done({ kind: 'failed', status, reason: reason ?? '', headers: failureHeaders(res) }, res);
  }
}

/** Which of several far ends on one INVITE says it. */
function branchOf(response: SrfResponse): string | undefined {
  return response.getParsedHeader('to').params['tag'];
}

/** Waits for a promise, but not longer than so many milliseconds. */
async function settled(running: Promise<unknown>, ms: number): Promise<void> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), ms);
  await Promise.race([running, late.promise]);
  clearTimeout(timer);
}

/** What a failure response says to the caller's side: why (RFC 3326), where else (3xx), when again. */
function failureHeaders(response: SrfResponse | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  if (response === undefined) return headers;
  const redirects = response.status >= 300 && response.status < 400;
  for (const name of ['Reason', 'Retry-After', 'Warning', ...(redirects ? ['Contact'] : [])]) {
    const value = response.get(name);
    if (value !== undefined && value !== '') headers[name] = value;
  }
  return headers;
}

/** What makes a second INVITE the same call: Call-ID and From as they were, the next CSeq (RFC 3261 section 22.2). */
function sameCall(sent: SrfRequest): Record<string, string> {
  const { seq } = sent.getParsedHeader('cseq');
  return {
    'Call-ID': sent.get('Call-ID') ?? '',
    From: sent.get('From') ?? '',
    CSeq: `${seq + 1} INVITE`,
  };
}
