/** SIP over TLS, RFC 3261 section 26.2: a certificate of ours both ways, one of the peer's where it is asked for. */
import { isIP } from 'node:net';
import { checkServerIdentity, connect, createServer } from 'node:tls';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { Address, Listener, Receiver } from '../transport.ts';
import type { Certificates } from './certificates.ts';
import { listenStream } from './stream.ts';
import type { StreamOptions } from './stream.ts';

export interface TlsListenOptions extends StreamOptions {
  certificates: Certificates;
  /** Of those that connect to us. One that is given must be good in any case but `none`. */
  clientCertificate: 'none' | 'request' | 'require';
  /** Of servers that we connect to: a good chain and the name of their URI, or the chain alone. */
  verifyServer: 'name' | 'chain';
}

const handshakeMs = 10_000;

/** Binds one TLS listener. @throws ListenFailed */
export function listenTls(options: TlsListenOptions, clock: Clock, receiver: Receiver): Promise<Listener> {
  const { certificates, clientCertificate, verifyServer } = options;
  const server = createServer({
    ...certificates.options,
    requestCert: clientCertificate !== 'none',
    rejectUnauthorized: clientCertificate === 'require',
    handshakeTimeout: handshakeMs,
  });
  certificates.onChange((fresh) => server.setSecureContext(fresh));
  server.on('tlsClientError', (_error, socket) => {
    receiver.dropped('tls handshake', addressOf(socket));
  });
  // Before the listener of the connections: what is ended here is not taken there.
  server.on('secureConnection', (socket) => {
    const over = certificates.until.getTime() <= clock.now();
    const bad = clientCertificate === 'request' && hasCertificate(socket) && !socket.authorized;
    if (!over && !bad) return;
    receiver.dropped('tls handshake', addressOf(socket));
    socket.destroy();
  });
  const kind = {
    transport: 'tls' as const,
    server,
    accepted: 'secureConnection',
    dial: ({ address, port, serverName }: Address, localAddress: string | undefined) => ({
      socket: connect({
        host: address,
        port,
        secureContext: certificates.context,
        minVersion: certificates.options.minVersion ?? 'TLSv1.2',
        ...(serverName === undefined || isIP(serverName) !== 0 ? {} : { servername: serverName }),
        ...(localAddress === undefined ? {} : { localAddress }),
        checkServerIdentity: (_host, certificate) =>
          verifyServer === 'chain' ? undefined : checkSipIdentity(serverName ?? address, certificate),
      }),
      ready: 'secureConnect',
    }),
    close: () => certificates[Symbol.dispose](),
  };
  return listenStream(options, kind, clock, receiver);
}

/**
 * RFC 5922 section 7.1: the SIP domain is a `sip:` URI of the certificate's subjectAltName; a certificate that names none
 * is read as any other server's, by its DNS names and addresses.
 */
export function checkSipIdentity(name: string, certificate: PeerCertificate): Error | undefined {
  const uris = (certificate.subjectaltname ?? '')
    .split(', ')
    .flatMap((one) => (one.startsWith('URI:sip:') ? [one.slice('URI:sip:'.length).toLowerCase()] : []));
  if (uris.includes(name.toLowerCase())) return undefined;
  return checkServerIdentity(name, certificate);
}

function hasCertificate(socket: TLSSocket): boolean {
  return Object.keys(socket.getPeerCertificate()).length > 0;
}

function addressOf(socket: { remoteAddress?: string | undefined; remotePort?: number | undefined }): Address {
  return { transport: 'tls', address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
}
