/** SIP over TCP. */
import { connect, createServer } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Listener, Receiver } from '../transport.ts';
import { listenStream } from './stream.ts';
import type { StreamOptions } from './stream.ts';

/** Binds one TCP listener. @throws ListenFailed */
export function listenTcp(options: StreamOptions, clock: Clock, receiver: Receiver): Promise<Listener> {
  const kind = {
    transport: 'tcp' as const,
    server: createServer(),
    accepted: 'connection',
    dial: ({ address, port }: { address: string; port: number }, localAddress: string | undefined) => ({
      socket: connect({ host: address, port, ...(localAddress === undefined ? {} : { localAddress }) }),
      ready: 'connect',
    }),
    close: () => undefined,
  };
  return listenStream(options, kind, clock, receiver);
}
