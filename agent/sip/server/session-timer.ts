/** Session timers (RFC 4028): what both sides agree on, and the two alarms that follow from it. */
import type { Alarm } from './clock.ts';
import { header, headerOf, names } from './message.ts';
import type { Header, SipRequest } from './message.ts';
import type { Stack } from './stack.ts';

/** Smallest interval of all (RFC 4028 section 4): below it, refreshes are a burden. */
export const shortestSeconds = 90;

export interface SessionWish {
  /** Interval that we ask for; undefined asks for none and keeps what the peer asks for. */
  expiresSeconds: number | undefined;
  /** Refused with 422 below this; only tests go below 90. */
  minimumSeconds: number;
}

export interface Session {
  seconds: number;
  refresher: 'us' | 'them';
  /** The peer knows no session timers: we ask by OPTIONS whether it is still there. */
  byProbe: boolean;
}

interface Headed {
  headers: readonly Header[];
}

interface SessionExpires {
  seconds: number;
  refresher: 'uac' | 'uas' | undefined;
}

/** The Session-Expires of a message; undefined where there is none that can be read. */
export function sessionExpiresOf(message: Headed): SessionExpires | undefined {
  const [first = '', ...params] = (headerOf(message, 'session-expires') ?? '').split(';');
  const seconds = deltaSeconds(first);
  if (seconds === undefined) return undefined;
  for (const param of params) {
    const [name = '', value = ''] = param.split('=', 2);
    const side = value.trim().toLowerCase();
    if (name.trim().toLowerCase() === 'refresher' && (side === 'uac' || side === 'uas')) {
      return { seconds, refresher: side };
    }
  }
  return { seconds, refresher: undefined };
}

export function minSeOf(message: Headed): number | undefined {
  return deltaSeconds((headerOf(message, 'min-se') ?? '').split(';', 1)[0] ?? '');
}

function deltaSeconds(text: string): number | undefined {
  const digits = text.trim();
  return /^\d{1,9}$/u.test(digits) ? Number(digits) : undefined;
}

/** Adds what an INVITE or UPDATE of ours says about session timers, unless the application has said it. */
export function proposeSession(headers: Header[], wish: SessionWish, now: Session | undefined): void {
  const seconds = now && !now.byProbe ? now.seconds : wish.expiresSeconds;
  if (seconds === undefined && sessionExpiresOf({ headers }) === undefined) return;
  supportTimer(headers, 'Supported');
  if (seconds === undefined || headerOf({ headers }, 'session-expires') !== undefined) return;
  const refresher = now && !now.byProbe ? `;refresher=${now.refresher === 'us' ? 'uac' : 'uas'}` : '';
  headers.push(header('Session-Expires', `${seconds}${refresher}`));
  if (wish.minimumSeconds > shortestSeconds) headers.push(header('Min-SE', String(wish.minimumSeconds)));
}

/** What the peer's 2xx to our INVITE or UPDATE makes of it (RFC 4028 section 7.2). */
export function sessionByAnswer(response: Headed, wish: SessionWish): Session | undefined {
  const agreed = sessionExpiresOf(response);
  if (agreed) {
    const seconds = Math.max(agreed.seconds, wish.minimumSeconds);
    return { seconds, refresher: agreed.refresher === 'uas' ? 'them' : 'us', byProbe: false };
  }
  return probing(wish);
}

/**
 * What our 2xx to an INVITE or UPDATE says (RFC 4028 section 9, table 2), completed in place; the interval is never
 * longer than asked for, never shorter than anybody's minimum.
 */
export function answerSession(
  request: SipRequest,
  headers: Header[],
  wish: SessionWish,
): Session | undefined {
  const asked = sessionExpiresOf(request);
  const given = sessionExpiresOf({ headers });
  const knows = names(request, 'supported', 'timer') || names(request, 'require', 'timer');
  const shortest = Math.max(minSeOf(request) ?? 0, wish.minimumSeconds);
  const wanted = given?.seconds ?? wish.expiresSeconds;
  const at = headers.findIndex(({ key }) => key === 'session-expires');
  if (at >= 0) headers.splice(at, 1);
  if (!asked && !given && !knows) return probing(wish);
  if (asked === undefined && wanted === undefined) return undefined;
  const upper = asked?.seconds ?? Infinity;
  const seconds = Math.max(shortest, Math.min(upper, wanted ?? upper));
  // The caller refreshes where it can and has not asked otherwise; where we alone want the timer, we do the work.
  const theirs = knows && asked !== undefined;
  const refresher = asked?.refresher ?? given?.refresher ?? (theirs ? 'uac' : 'uas');
  headers.push(header('Session-Expires', `${seconds};refresher=${refresher}`));
  supportTimer(headers, 'Supported');
  if (refresher === 'uac') supportTimer(headers, 'Require');
  return { seconds, refresher: refresher === 'uac' ? 'them' : 'us', byProbe: false };
}

/** Whether a request must be refused with 422 (RFC 4028 section 6): its sender would understand. */
export function tooShort(request: SipRequest, { minimumSeconds }: SessionWish): boolean {
  const asked = sessionExpiresOf(request);
  return asked !== undefined && asked.seconds < minimumSeconds && names(request, 'supported', 'timer');
}

function probing(wish: SessionWish): Session | undefined {
  if (wish.expiresSeconds === undefined) return undefined;
  return { seconds: wish.expiresSeconds, refresher: 'us', byProbe: true };
}

function supportTimer(headers: Header[], name: 'Supported' | 'Require'): void {
  const key = name.toLowerCase();
  const at = headers.findIndex((one) => one.key === key);
  const there = headers[at];
  if (!there) headers.push(header(name, 'timer'));
  else if (!names({ headers: [there] }, key === 'require' ? 'require' : 'supported', 'timer')) {
    headers[at] = header(name, there.value === '' ? 'timer' : `${there.value}, timer`);
  }
}

/** The alarms of one dialog: when we refresh, and when the session is over for lack of a refresh. */
export class SessionTimer {
  #session: Session | undefined;
  #refresh: Alarm | undefined;
  #expiry: Alarm | undefined;

  get session(): Session | undefined {
    return this.#session;
  }

  /** Starts anew with what was agreed on; undefined stops. */
  arm(stack: Stack, session: Session | undefined, refresh: () => void, expired: () => void): void {
    this.stop();
    this.#session = session;
    if (!session) return;
    const { seconds, refresher } = session;
    if (refresher === 'us') this.refreshIn(stack, seconds * 500, refresh);
    // RFC 4028 section 10: who waits for a refresh ends slightly before, who asks for one has the time of its transaction.
    const early = refresher === 'us' ? 0 : Math.min(32, seconds / 3);
    this.#expiry = stack.after((seconds - early) * 1_000, expired);
  }

  refreshIn(stack: Stack, delayMs: number, refresh: () => void): void {
    this.#refresh?.cancel();
    this.#refresh = stack.after(delayMs, refresh);
  }

  stop(): void {
    this.#refresh?.cancel();
    this.#expiry?.cancel();
    this.#refresh = undefined;
    this.#expiry = undefined;
  }
}
