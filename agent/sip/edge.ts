/**
 * The SIP edge: one Srf, connected to the embedded server or to a drachtio-server; it cannot tell which. New calls come
 * in as `Invite`, calls go out by `dial`.
 */
import Srf, { type SrfRequest, type SrfResponse } from 'drachtio-srf';
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import { messageOf, TacetError } from '../../config/errors.ts';
import { Admission, type Overload, type Place } from './admission.ts';
import { dial, type AttemptResult, type Dialled, type DialOptions } from './dial.ts';
import { isAnswered } from './early-dialog.ts';
import { freeCalls, sosNumber } from './free-calls.ts';
import { headerOf } from './headers.ts';
import { Health, verdictOf, type Verdict } from './health.ts';
import { Invite } from './invite.ts';
import { passHeader, PassTokens } from './passes.ts';
import { userOf, uriTo, wayTo } from './peer-uri.ts';
import type { Peer, Peers, Source } from './peers.ts';
import { orderRoute, peersOf, willing } from './route.ts';
import { systemClock } from './server/clock.ts';

export type { Dialled, DialOptions } from './dial.ts';
export { uriTo } from './peer-uri.ts';

/** The SIP server's control port cannot be reached or refuses our secret. */
export class EdgeUnavailable extends TacetError {}

export interface Control {
  host: string;
  port: number;
  secret: string;
  /** Whether the server delivers 100 Trying; drachtio-server keeps it to itself. */
  tellsTrying?: boolean;
}

/** A peer as it stands now. */
export interface PeerState {
  peer: Peer;
  up: boolean;
  calls: number;
}

export interface Edge extends AsyncDisposable {
  /** Sends an INVITE to a peer. Aborting `signal` cancels it; an answer that crosses the CANCEL is hung up. */
  dial(options: DialOptions, signal: AbortSignal): Promise<Dialled>;
  /** The peers to try for a call, in order: those that are down stand out unless all are. */
  candidates(invite: Invite): Peer[];
  peerStates(): PeerState[];
  /** Whose calls have nowhere to go now, for a person; empty when all have. */
  unreachable(): string[];
  readonly peers: Peers;
  readonly connected: boolean;
}

export interface EdgeOptions {
  control: Control;
  peers: Peers;
  routing: Config['routing'];
  /** How long a call can last at most, milliseconds. */
  longestCallMs: number;
  log: Logger;
  onInvite: (invite: Invite) => Promise<void>;
  /** A reason to refuse new calls now (503 with Retry-After), or undefined. */
  refusing: () => string | undefined;
  onStranger: () => void;
  onAttempt: (peer: string, result: AttemptResult) => void;
  onOverload: (peer: string, why: Overload) => void;
}

/** Connects to the SIP server. @throws EdgeUnavailable */
export async function openEdge(options: EdgeOptions): Promise<Edge> {
  const { control, peers, log } = options;
  const srf = new Srf();
  const state = { connected: false };
  const closing = new AbortController();
  const admission = new Admission();
  const health = new Health({
    peers: peers.all(),
    // Not the wall clock: a peer must not stay down because somebody set the time.
    clock: { ...systemClock, now: () => performance.now() },
    probe: (peer, signal) => probe(srf, peer, signal),
    onChange: (peer, up, why) => log[up ? 'info' : 'warn']({ peer: peer.name, up, why }, 'peer'),
  });
  const dialler = {
    srf,
    health,
    admission,
    tokens: new PassTokens(options.routing.siteSecret, options.longestCallMs),
    tellsTrying: control.tellsTrying === true,
    onAttempt: (peer: Peer, result: AttemptResult) => options.onAttempt(peer.name, result),
  };

  listen(srf, options, { admission, health, tokens: dialler.tokens });
  srf.on('error', (error) => {
    if (!closing.signal.aborted) log.warn({ err: error }, 'SIP server connection failed');
  });
  srf.on('close', () => {
    state.connected = false;
  });

  await new Promise<void>((resolve, reject) => {
    srf.on('connect', (error, hostport) => {
      if (error) {
        const why = `SIP server at ${control.host}:${control.port} refused us: ${messageOf(error)}`;
        if (state.connected) log.error(why);
        reject(new EdgeUnavailable(why));
        return;
      }
      state.connected = true;
      log.info({ hostport }, 'connected to the SIP server');
      resolve();
    });
    srf.connect({ host: control.host, port: control.port, secret: control.secret });
  });
  health.start();

  return {
    peers,
    get connected() {
      return state.connected;
    },
    dial: (each, signal) => dial(dialler, each, signal),
    candidates(invite) {
      const emergency = invite.marks.free === 'emergency';
      const ordered = orderRoute(emergency ? peers.emergencyRoute(invite.from) : invite.from.routes);
      const up = willing(ordered, (peer) => health.isUp(peer));
      // A call that must get through tries also those that are believed to be down, last.
      return emergency ? [...new Set([...up, ...ordered])] : up;
    },
    peerStates: () =>
      peers.all().map((peer) => ({ peer, up: health.isUp(peer), calls: admission.calls(peer) })),
    unreachable: () =>
      peers
        .all()
        .filter((peer) => stranded(peer, health))
        .map(({ name }) => `no peer of the routes from ${name} is up`),
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      health[Symbol.dispose]();
      srf.disconnect();
    },
  };
}

interface Watch {
  admission: Admission;
  health: Health;
  tokens: PassTokens;
}

/** Takes INVITE and OPTIONS: who may call now, and who is told to try elsewhere. */
function listen(
  srf: Srf,
  { peers, routing, log, refusing, onStranger, onInvite, onOverload }: EdgeOptions,
  { admission, health, tokens }: Watch,
): void {
  const free = freeCalls(routing);
  srf.invite((req: SrfRequest, res: SrfResponse) => {
    const from = peers.at(sourceOf(req));
    if (from === undefined) {
      // Only an external drachtio-server brings strangers this far; the embedded one drops them on arrival.
      onStranger();
      res.send(403);
      return;
    }
    if (headerOf(req, 'Max-Forwards')?.trim() === '0') return void res.send(483);
    const sos = sosNumber(req.uri, routing.emergency.countries);
    const called = sos ?? userOf(req.uri) ?? '';
    const freedom = free({ called, from: from.kind, header: (name) => headerOf(req, name) });
    const refusal = freedom === 'emergency' ? undefined : refusing();
    if (refusal !== undefined) return refuse(res, refusal, 30);
    const place: Place | Overload = freedom === 'emergency' ? admission.insist(from) : admission.admit(from);
    if (typeof place === 'string') {
      onOverload(from.name, place);
      return refuse(res, 'Overloaded', place === 'max-rate' ? 1 : 5);
    }
    const pass = tokens.read(headerOf(req, passHeader));
    const invite = new Invite(srf, req, res, from, { free: freedom, pass, sos });
    void onInvite(invite)
      .catch((error: unknown) => {
        log.error({ call: invite.call, err: error }, 'call failed');
        invite.reject(500);
      })
      .then(() => invite.over)
      .finally(() => place[Symbol.dispose]());
  });
  // Registered for no route: PRACKs come in dialogs, and one that brought no offer is drachtio-srf's to answer.
  srf.use('prack', (req: SrfRequest, _res: SrfResponse, next: () => void) => {
    if (!isAnswered(req)) next();
  });
  srf.options((req: SrfRequest, res: SrfResponse) => {
    const from = peers.at(sourceOf(req));
    // Who asks whether we take calls asks whether they get through (a carrier then takes its second way at once).
    const refusal = refusing() ?? (from !== undefined && stranded(from, health) ? 'No Route' : undefined);
    if (refusal === undefined) res.send(200, { headers: { Accept: 'application/sdp' } });
    else refuse(res, refusal, 30);
  });
}

function sourceOf({ source_address: address, source_port: port, protocol }: SrfRequest): Source {
  return { address, port, transport: protocol };
}

/** Whether every peer that this one's calls could go to is down. */
function stranded(peer: Peer, health: Health): boolean {
  const routes = peersOf(peer.routes);
  return routes.length > 0 && !routes.some((each) => health.isUp(each));
}

function refuse(res: SrfResponse, reason: string, retryAfterSeconds: number): void {
  res.send(503, reason, { headers: { 'Retry-After': String(retryAfterSeconds) } });
}

/** Asks a peer with OPTIONS whether it is there. Settles with its signal at the latest. */
async function probe(srf: Srf, peer: Peer, signal: AbortSignal): Promise<Verdict> {
  const silent: Verdict = { kind: 'failed', why: 'it leaves OPTIONS unanswered' };
  const answer = Promise.withResolvers<Verdict>();
  const over = (): void => answer.resolve(silent);
  signal.addEventListener('abort', over, { once: true });
  try {
    const sent = await Promise.race([
      srf.request(uriTo(peer, ''), {
        method: 'OPTIONS',
        headers: { Accept: 'application/sdp' },
        ...wayTo(peer),
      }),
      answer.promise,
    ]);
    if ('kind' in sent) return sent;
    sent.on('response', (response) => {
      const made = response.source_address === '' || response.source_port === 0;
      const verdict = verdictOf(response.status, response.get('Retry-After'), 'OPTIONS');
      answer.resolve(made ? silent : (verdict ?? silent));
    });
    return await answer.promise;
  } catch (error) {
    return { kind: 'failed', why: messageOf(error) };
  } finally {
    signal.removeEventListener('abort', over);
  }
}
