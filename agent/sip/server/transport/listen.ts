/** A listener of any transport, from what the configuration says of it. */
import type { Clock } from '../clock.ts';
import { defaultPort } from '../transport.ts';
import type { Listener, Receiver, Transport } from '../transport.ts';
import { Certificates } from './certificates.ts';
import type { CertificateEvent, CertificateFiles } from './certificates.ts';
import type { ConnectionLimits } from './connection.ts';
import type { AdmissionLimits } from './connections.ts';
import { listenTcp } from './tcp.ts';
import { listenTls } from './tls.ts';
import type { TlsListenOptions } from './tls.ts';
import { listenUdp } from './udp.ts';

export interface ListenOptions {
  /** Listeners of several transports on one side of the network share a name. */
  name?: string | undefined;
  transport: Transport;
  address: string;
  /** 0 takes any free port; left out, 5060 or 5061. */
  port?: number | undefined;
  /** What Contact and Via say where it differs from the bound address (static NAT). */
  advertise?: string | undefined;
  /** There for TLS. */
  tls?:
    | (Omit<CertificateFiles, 'minVersion'> &
        Partial<
          Pick<CertificateFiles, 'minVersion'> & Pick<TlsListenOptions, 'clientCertificate' | 'verifyServer'>
        >)
    | undefined;
}

export interface Opened {
  listener: Listener;
  /** Over TLS. */
  certificates: Certificates | undefined;
}

/** Binds it. @throws ListenFailed, CertificateRefused */
export async function openListener(
  { name = 'default', transport, address, port = defaultPort(transport), advertise, tls }: ListenOptions,
  around: {
    clock: Clock;
    receiver: Receiver;
    limits: Partial<ConnectionLimits & AdmissionLimits>;
    onCertificate: (event: CertificateEvent) => void;
  },
): Promise<Opened> {
  const { clock, receiver, limits } = around;
  const options = { name, address, port, advertise, limits };
  if (transport === 'udp')
    return { listener: await listenUdp(options, clock, receiver), certificates: undefined };
  if (transport === 'tcp' || tls === undefined) {
    return { listener: await listenTcp(options, clock, receiver), certificates: undefined };
  }
  const { minVersion = 'TLSv1.2', clientCertificate = 'none', verifyServer = 'name', ...files } = tls;
  const certificates = await Certificates.open({ ...files, minVersion }, around.onCertificate);
  try {
    const listening = { ...options, certificates, clientCertificate, verifyServer };
    return { listener: await listenTls(listening, clock, receiver), certificates };
  } catch (error) {
    certificates[Symbol.dispose]();
    throw error;
  }
}
