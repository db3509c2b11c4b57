/** A call that is up between the application and a hand-written peer, in either direction. */
import type { Dialog, SrfRequest, SrfResponse } from 'drachtio-srf';
import type { SipRequest, SipResponse } from '../../../../agent/sip/server/message.ts';
import type { SipServerOptions } from '../../../../agent/sip/server/server.ts';
import { hangUp, nothingLeft, openBench } from './application.ts';
import type { Bench } from './application.ts';
import { openPeer, request, response, sdp } from './peer.ts';
import type { Peer, Writing } from './peer.ts';

export const quick = { timers: { t1Ms: 20, t2Ms: 160, t4Ms: 100 } };

/** How the peer names the dialog in its requests. */
export type Within = Required<Pick<Writing, 'callId' | 'fromTag' | 'toTag'>>;

export interface InCall extends AsyncDisposable {
  bench: Bench;
  peer: Peer;
  dialog: Dialog;
  within: Within;
  /** The INVITE as the callee saw it, and the answer as the caller did. */
  invite: SipRequest;
  answer: SipResponse;
  /** Hangs up, and finds nothing left. */
  over(): Promise<void>;
}

/** The application calls; `answer` is what the peer's 200 says besides. */
export async function callOut(
  options: Partial<SipServerOptions> = quick,
  answer: Writing = {},
): Promise<InCall> {
  const bench = await openBench(options);
  const peer = await openPeer(bench.port);
  const result = bench.srf.createUAC(`sip:200@127.0.0.1:${peer.port}`, { localSdp: sdp });
  const invite = (await peer.fresh('INVITE')) as SipRequest;
  peer.send(response(peer, invite, 200, { body: sdp, ...answer, contact: true }));
  const dialog = await result;
  await peer.fresh('ACK');
  const within = { callId: invite.callId, fromTag: 'answerer', toTag: invite.from.params.get('tag')! };
  const none = { kind: 'response' } as SipResponse;
  return inCall({ bench, peer, dialog, within, invite, answer: none });
}

/** The peer calls; `invite` is what its INVITE says besides. */
export async function callIn(
  options: Partial<SipServerOptions> = quick,
  invite: Writing = {},
  headers: Record<string, string> = {},
): Promise<InCall> {
  const up = Promise.withResolvers<Dialog>();
  const bench = await openBench(options, (srf) => {
    srf.invite((req: SrfRequest, res: SrfResponse) => {
      srf.createUAS(req, res, { localSdp: sdp, headers }).then(up.resolve, up.reject);
    });
  });
  const peer = await openPeer(bench.port);
  const callId = `in-${peer.port}`;
  peer.send(request(peer, 'INVITE', { callId, body: sdp, ...invite }));
  const answer = (await peer.fresh(200)) as SipResponse;
  const toTag = answer.to.params.get('tag')!;
  const within = { callId, fromTag: invite.fromTag ?? 'peer', toTag };
  const dialog = await up.promise;
  const acknowledged = new Promise<void>((resolve) => dialog.on('ack', () => resolve()));
  peer.send(request(peer, 'ACK', { ...within, cseq: answer.cseq }));
  await acknowledged;
  return inCall({ bench, peer, dialog, within, invite: {} as SipRequest, answer });
}

function inCall(parts: Omit<InCall, 'over' | typeof Symbol.asyncDispose>): InCall {
  const { bench, peer, dialog } = parts;
  return {
    ...parts,
    async over() {
      const gone = hangUp(dialog);
      peer.send(response(peer, await peer.fresh('BYE'), 200));
      await gone;
      await nothingLeft(bench.server);
    },
    [Symbol.asyncDispose]: async () => {
      await peer[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}
