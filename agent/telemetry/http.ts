/** `/metrics` for Prometheus, `/healthz` (the process runs) and `/readyz` (it can take calls) for who supervises it. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { messageOf, TacetError } from '../../config/errors.ts';

/** The port of metrics and health cannot be had. */
export class TelemetryUnavailable extends TacetError {
  readonly address: string;
  readonly port: number;
  constructor(address: string, port: number, why: string) {
    super(
      `metrics and health cannot be served on ${address}:${port}: ${why}; set http.address and http.port`,
    );
    this.address = address;
    this.port = port;
  }
}

export interface TelemetryServer extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
}

export interface TelemetryOptions {
  address: string;
  /** 0 takes any free port. */
  port: number;
  registry: Registry;
  /** Why calls cannot be taken now, for a person; empty when they can. */
  ready: () => readonly string[];
}

interface Answer {
  status: number;
  type: string;
  body: string;
}

/** @throws TelemetryUnavailable */
export async function startTelemetryServer(options: TelemetryOptions): Promise<TelemetryServer> {
  const server = createServer((request, response) => {
    void answer(request, options).then((given) => send(response, request, given));
  });
  // A scraper that never finishes its request must not hold a socket for ever.
  server.requestTimeout = 10_000;
  server.listen(options.port, options.address);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new TelemetryUnavailable(options.address, options.port, messageOf(error));
  }
  const { address, port } = server.address() as AddressInfo;
  return {
    address,
    port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(request: IncomingMessage, { registry, ready }: TelemetryOptions): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'GET or HEAD only');
  switch (request.url?.split('?', 1)[0] ?? '') {
    case '/metrics':
      try {
        return { status: 200, type: registry.contentType, body: await registry.metrics() };
      } catch (error) {
        return text(500, messageOf(error));
      }
    case '/healthz':
      return text(200, 'ok');
    case '/readyz': {
      const reasons = ready();
      return reasons.length === 0 ? text(200, 'ready') : text(503, reasons.join('\n'));
    }
    default:
      return text(404, '/metrics, /healthz, /readyz');
  }
}

function text(status: number, body: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${body}\n` };
}

function send(response: ServerResponse, request: IncomingMessage, { status, type, body }: Answer): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': bytes.length,
    'Cache-Control': 'no-store',
    ...(status === 405 ? { Allow: 'GET, HEAD' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}
