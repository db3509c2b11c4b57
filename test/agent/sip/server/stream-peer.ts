/** A SIP peer on a stream that does only what it is told: one connection, the messages that came, what the end was. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { parseMessage } from '../../../../agent/sip/server/message.ts';
import { StreamReader } from '../../../../agent/sip/server/transport/stream-reader.ts';
import { until } from './application.ts';
import type { Received } from './peer.ts';

export interface StreamPeer extends Disposable {
  readonly socket: Socket;
  readonly port: number;
  readonly received: readonly Received[];
  readonly keepAlives: readonly ('ping' | 'pong')[];
  readonly closed: boolean;
  send(text: string): void;
  next(fits: number | string): Promise<Received>;
  /** Waits until the far end has closed the connection. */
  end(): Promise<void>;
}

/** Speaks on a connection that is there already: a server of the test has taken it. */
export function streamPeerOn(socket: Socket): StreamPeer {
  const reader = new StreamReader({ headBytes: 65_535, messageBytes: 65_535 });
  const received: Received[] = [];
  const waiting: Received[] = [];
  const keepAlives: ('ping' | 'pong')[] = [];
  const state = { closed: false };
  socket.on('data', (chunk) => {
    for (const piece of reader.read(chunk)) {
      if (piece.kind !== 'message') {
        keepAlives.push(piece.kind);
        continue;
      }
      const parsed = parseMessage(piece.bytes);
      if (!parsed.ok) throw new Error(`the server sent what cannot be read: ${parsed.why}`);
      received.push(parsed.message);
      waiting.push(parsed.message);
    }
  });
  socket.on('error', () => undefined);
  socket.on('close', () => (state.closed = true));
  return {
    socket,
    port: socket.localPort ?? 0,
    received,
    keepAlives,
    get closed() {
      return state.closed;
    },
    send: (text) => void socket.write(Buffer.from(text, 'latin1')),
    async next(fits) {
      const test = (one: Received) => (one.kind === 'request' ? one.method : one.status) === fits;
      await until(() => waiting.some(test), `message ${fits}`, 5_000);
      return waiting.splice(waiting.findIndex(test), 1)[0]!;
    },
    end: () => until(() => state.closed, 'the end of the connection', 10_000),
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** @throws when the connection, or its handshake, fails */
export async function openStreamPeer(port: number, tls?: ConnectionOptions): Promise<StreamPeer> {
  const socket =
    tls === undefined ? connect(port, '127.0.0.1') : connectTls({ ...tls, port, host: '127.0.0.1' });
  await new Promise<void>((resolve, reject) => {
    socket.once(tls === undefined ? 'connect' : 'secureConnect', resolve);
    socket.once('error', reject);
  });
  return streamPeerOn(socket);
}
