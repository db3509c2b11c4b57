/** The embedded SIP server as the configuration asks for it, with its events in log and metrics. */
import type { Logger } from 'pino';
import type { LoadedConfig } from '../config/load.ts';
import type { Peers } from './sip/peers.ts';
import { nodeDns } from './sip/server/resolve/dns.ts';
import { startSipServer, type SipServer } from './sip/server/server.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** @throws ListenFailed, or what reading a certificate throws */
export async function startEmbeddedSip(
  { sip }: LoadedConfig['config'],
  at: (path: string) => string,
  peers: Peers,
  metrics: Metrics,
  log: Logger,
): Promise<SipServer> {
  const listen = sip.listen.map(({ tls, ...rest }) => {
    if (tls === undefined) return rest;
    const { certificate, key, ca, ...settings } = tls;
    const files = { certificate: at(certificate), key: at(key), ...(ca === undefined ? {} : { ca: at(ca) }) };
    return { ...rest, tls: { ...settings, ...files } };
  });
  const server = await startSipServer({
    listen,
    limits: sip.limits,
    session: { expiresSeconds: sip.sessionExpiresSeconds },
    ...(sip.dns === undefined ? {} : { dns: nodeDns(sip.dns) }),
    accept: (source) => peers.at(source) !== undefined,
    onEvent: (event) => {
      if (event.kind === 'dropped') metrics.sipDropped(event.reason);
      else if (event.kind === 'malformed') metrics.sipMalformed();
      else if (event.kind === 'failed') log.error(event, 'SIP server: a message was lost to a fault of ours');
      else if (event.kind === 'certificate refused')
        log.error(event, 'SIP server: a changed certificate cannot be used, the one before stays');
      else if (event.kind === 'certificate loaded') log.info(event, 'SIP server: certificate loaded');
    },
  });
  metrics.watchSip(() => server.statistics());
  metrics.watchCertificates(() => server.certificates());
  return server;
}
