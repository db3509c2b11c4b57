/**
 * The SIP edge: one Srf, connected to the embedded server or to a drachtio-server; it cannot tell which. New calls come
 * in as `Invite`, calls go out by `dial`.
 */
import Srf, { type SrfRequest, type SrfResponse } from 'drachtio-srf';
import type { Logger } from 'pino';
import { messageOf, TacetError } from '../../config/errors.ts';
import { Invite, userOf } from './invite.ts';
import { Leg } from './leg.ts';
import type { Peer, Peers } from './peers.ts';

/** The SIP server's control port cannot be reached or refuses our secret. */
export class EdgeUnavailable extends TacetError {}

export interface Control {
  host: string;
  port: number;
  secret: string;
}

/** How an outgoing INVITE ended. */
export type Dialled =
  | { kind: 'answered'; leg: Leg; sdp: string }
  /** The INVITE went out without SDP: the far end made the offer, the ACK takes the answer. */
  | { kind: 'offered'; sdp: string; accept: (answer: string) => Promise<Leg>; release: () => Promise<void> }
  | { kind: 'failed'; status: number; reason: string; headers: Record<string, string> }
  | { kind: 'given-up' };

export interface DialOptions {
  to: Peer;
  /** The call that this leg belongs to: numbers and headers are taken from its INVITE. */
  invite: Invite;
  sdp: string | undefined;
  /** Of a body that is not SDP alone, passed through untouched. */
  contentType?: string | undefined;
  onProgress?: (status: number, sdp: string | undefined) => void;
}

export interface Edge extends AsyncDisposable {
  /** Sends an INVITE to a peer. Aborting `signal` cancels it; an answer that crosses the CANCEL is hung up. */
  dial(options: DialOptions, signal: AbortSignal): Promise<Dialled>;
  readonly connected: boolean;
}

export interface EdgeOptions {
  control: Control;
  peers: Peers;
  log: Logger;
  onInvite: (invite: Invite) => Promise<void>;
  /** A reason to refuse new calls now (503 with Retry-After), or undefined. */
  refusing: () => string | undefined;
  onStranger: () => void;
}

/** End-to-end headers that identity and billing live on; topology (Via, Contact, Record-Route) stays behind. */
const passedHeaders = new Set([
  'p-asserted-identity',
  'p-preferred-identity',
  'remote-party-id',
  'privacy',
  'diversion',
  'history-info',
  'user-to-user',
  'call-info',
  'alert-info',
  'accept-language',
  'subject',
  'session-id',
]);

/** Connects to the SIP server. @throws EdgeUnavailable */
export async function openEdge({
  control,
  peers,
  log,
  onInvite,
  refusing,
  onStranger,
}: EdgeOptions): Promise<Edge> {
  const srf = new Srf();
  const state = { connected: false };
  const closing = new AbortController();

  srf.invite((req: SrfRequest, res: SrfResponse) => {
    const from = peers.at({ address: req.source_address, port: req.source_port });
    if (from === undefined) {
      // Only an external drachtio-server brings strangers this far; the embedded one drops them on arrival.
      onStranger();
      res.send(403);
      return;
    }
    const refusal = refusing();
    if (refusal !== undefined) {
      res.send(503, refusal, { headers: { 'Retry-After': '30' } });
      return;
    }
    const invite = new Invite(srf, req, res, from);
    onInvite(invite).catch((error: unknown) => {
      log.error({ call: invite.call, err: error }, 'call failed');
      invite.reject(500);
    });
  });
  srf.options((_req: SrfRequest, res: SrfResponse) => {
    const refusal = refusing();
    if (refusal === undefined) res.send(200, { headers: { Accept: 'application/sdp' } });
    else res.send(503, refusal, { headers: { 'Retry-After': '30' } });
  });
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
    srf.connect(control);
  });

  return {
    get connected() {
      return state.connected;
    },
    dial: (options, signal) => dial(srf, options, signal),
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      srf.disconnect();
    },
  };
}

async function dial(
  srf: Srf,
  { to, invite, sdp, contentType, onProgress }: DialOptions,
  signal: AbortSignal,
): Promise<Dialled> {
  if (signal.aborted) return { kind: 'given-up' };
  let sent: SrfRequest | undefined;
  const cancel = (): void => sent?.cancel(() => undefined);
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const dialled = await srf.createUAC(
      uriTo(to, invite.called),
      {
        headers: headersOf(invite, contentType),
        ...(sdp === undefined ? { noAck: true } : { localSdp: sdp }),
      },
      {
        cbRequest: (_error, request) => {
          sent = request;
          if (signal.aborted) cancel();
        },
        cbProvisional: ({ status, body }) => onProgress?.(status, body === '' ? undefined : body),
      },
    );
    if ('ack' in dialled && 'sdp' in dialled) {
      const { ack, sdp: offer, destroy } = dialled;
      if (signal.aborted) {
        await destroy();
        return { kind: 'given-up' };
      }
      return {
        kind: 'offered',
        sdp: offer,
        accept: async (answer) => new Leg(await ack(answer)),
        release: destroy,
      };
    }
    const leg = new Leg(dialled);
    if (signal.aborted) {
      await leg.hangUp();
      return { kind: 'given-up' };
    }
    return { kind: 'answered', leg, sdp: dialled.remote.sdp };
  } catch (error) {
    if (signal.aborted) return { kind: 'given-up' };
    if (error instanceof Srf.SipError) {
      return {
        kind: 'failed',
        status: error.status,
        reason: error.reason ?? '',
        headers: failureHeaders(error.res),
      };
    }
    return { kind: 'failed', status: 503, reason: messageOf(error), headers: {} };
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** What a failure response says to the caller's side: why (RFC 3326), where else (3xx), when again. */
function failureHeaders(response: SrfResponse | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of ['Reason', 'Retry-After', 'Warning']) {
    const value = response?.get(name);
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}

function headersOf(invite: Invite, contentType: string | undefined): Record<string, string> {
  const name = invite.fromDisplayName;
  const uri = `<sip:${invite.caller === '' ? 'anonymous' : invite.caller}@localhost>`;
  const headers: Record<string, string> = {
    From: name === undefined ? uri : `"${name.replaceAll('"', '')}" ${uri}`,
    Contact: uri,
    'X-Tacet-Call': invite.call,
    ...(contentType === undefined ? {} : { 'Content-Type': contentType }),
  };
  for (const header of invite.headerNames()) {
    const lower = header.toLowerCase();
    if ((passedHeaders.has(lower) || lower.startsWith('x-')) && lower !== 'x-tacet-call') {
      const value = invite.header(header);
      if (value !== undefined) headers[header] = value;
    }
  }
  return headers;
}

/** A peer's URI with the called user part in it: `sip:192.0.2.1:5060` and `200` give `sip:200@192.0.2.1:5060`. */
export function uriTo(peer: Peer, called: string): string {
  const colon = peer.uri.indexOf(':');
  const rest =
    userOf(peer.uri) === undefined ? peer.uri.slice(colon + 1) : peer.uri.slice(peer.uri.indexOf('@') + 1);
  return `${peer.uri.slice(0, colon)}:${called === '' ? '' : `${called}@`}${rest}`;
}
