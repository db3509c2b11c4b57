/** A small drachtio-srf application on a SIP server of its own: what the tests call. */
import Srf from 'drachtio-srf';
import type { Dialog, SrfRequest, SrfResponse } from 'drachtio-srf';
import { startSipServer } from '../../../../agent/sip/server/server.ts';
import type { SipServer, SipServerOptions } from '../../../../agent/sip/server/server.ts';

export interface Bench extends AsyncDisposable {
  srf: Srf;
  server: SipServer;
  port: number;
  uri: string;
}

/** Starts server and application, connected to each other. */
export async function openBench(
  options: Partial<SipServerOptions> = {},
  prepare: (srf: Srf) => void = () => undefined,
): Promise<Bench> {
  const server = await startSipServer({
    listen: [{ transport: 'udp', address: '127.0.0.1', port: 0 }],
    accept: () => true,
    ...options,
  });
  const srf = new Srf();
  prepare(srf);
  await new Promise<void>((resolve, reject) => {
    srf.on('connect', (error) => (error ? reject(error) : resolve()));
    srf.connect(server.control);
  });
  const port = server.addresses[0]!.port;
  return {
    srf,
    server,
    port,
    uri: `sip:127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      srf.on('error', () => undefined);
      if (server.statistics().applications > 0) srf.disconnect();
      await server.close();
    },
  };
}

/** A back-to-back user agent in its shortest form: whoever hangs up first, the other is hung up on. */
export function bridgeTo(
  srf: Srf,
  uri: () => string,
  bridged: (uas: Dialog, uac: Dialog) => void = () => undefined,
  options: Parameters<Srf['createB2BUA']>[3] = {},
) {
  return async (req: SrfRequest, res: SrfResponse) => {
    try {
      const { uas, uac } = await srf.createB2BUA(req, res, uri(), options);
      for (const [one, other] of [
        [uas, uac],
        [uac, uas],
      ] as const) {
        one.on('destroy', () => void hangUp(other));
        one.on('modify', (request, response) => void pass(other, request, response));
        one.on('info', (request, response) => void pass(other, request, response));
        if (!one.connected) void hangUp(other);
      }
      bridged(uas, uac);
    } catch {
      // Failed calls are the caller's to grade.
    }
  };
}

async function pass(to: Dialog, req: SrfRequest, res: SrfResponse): Promise<void> {
  const headers: Record<string, string> = {};
  const type = req.get('Content-Type');
  if (type !== undefined) headers['Content-Type'] = type;
  const contact = to.local.contact;
  if (req.method === 'INVITE') headers['Contact'] = contact;
  const answer = await to.request({ method: req.method, headers, body: req.body });
  res.send(answer.status, answer.reason, { body: answer.body });
}

/** Both sides may hang up at once: then the dialog is gone already. */
export async function hangUp(dialog: Dialog): Promise<void> {
  await dialog.destroy().catch(() => undefined);
}

/** Resolves once the condition holds; asks again at every turn of a short clock. */
export async function until(condition: () => boolean, what: string, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Nothing may be left of calls that are over. */
export async function nothingLeft(server: SipServer): Promise<void> {
  await until(
    () => {
      const { transactions, dialogs, timers } = server.statistics();
      return transactions + dialogs + timers === 0;
    },
    'transactions, dialogs and timers to be gone',
    20_000,
  );
}
