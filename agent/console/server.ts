/** The HTTP API: who asks, may they, and what comes of it. What there is to ask stands in the routes. */
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { messageOf, TacetError } from '../../config/errors.ts';
import { campaignRoutes } from './campaign-routes.ts';
import { openApiOf } from './openapi.ts';
import { agentRoutes, callRoutes, objectionRoutes, stopRoutes } from './order-routes.ts';
import type { ConsoleParts } from './parts.ts';
import { problemOf, problemType, RequestRefused, type Problem } from './problem.ts';
import type { Route } from './route.ts';
import type { Tokens } from './tokens.ts';

export interface ConsoleOptions extends ConsoleParts {
  address: string;
  /** 0 takes any free port. */
  port: number;
  /** PEM. */
  tls?: { cert: string; key: string } | undefined;
  tokens: Tokens;
  /** Told of faults of ours, which the asker learns nothing of. */
  onFault: (error: unknown) => void;
}

export interface ConsoleServer extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
}

/** The API's port cannot be had. */
export class ConsoleUnavailable extends TacetError {
  constructor(address: string, port: number, why: string) {
    super(`the API cannot be served on ${address}:${port}: ${why}; set console.address and console.port`);
  }
}

export function routesOf(parts: ConsoleParts): Route[] {
  return [
    ...campaignRoutes(parts),
    ...stopRoutes(parts),
    ...callRoutes(parts),
    ...agentRoutes(parts),
    ...objectionRoutes(parts),
  ];
}

/** @throws ConsoleUnavailable */
export async function startConsole(options: ConsoleOptions): Promise<ConsoleServer> {
  const app = buildConsole(options);
  try {
    await app.listen({ host: options.address, port: options.port });
  } catch (error) {
    await app.close();
    throw new ConsoleUnavailable(options.address, options.port, messageOf(error));
  }
  const { address, port } = app.server.address() as AddressInfo;
  return { address, port, [Symbol.asyncDispose]: () => app.close() };
}

/** The API without a port: requests can be put in by `inject`. */
export function buildConsole(options: ConsoleOptions): FastifyInstance {
  const { tls } = options;
  const app = Fastify({
    serverFactory: (handle) => (tls === undefined ? createServer(handle) : createTlsServer(tls, handle)),
    bodyLimit: 65_536,
    // A client that never finishes its request, or never closes, must not hold the agent up.
    requestTimeout: 10_000,
    forceCloseConnections: true,
  });
  const routes = routesOf(options);
  const document = openApiOf(routes);
  app.setErrorHandler((error, _request, reply) => refuse(reply, error, options.onFault));
  app.setNotFoundHandler((_request, reply) =>
    send(reply, new RequestRefused(404, 'no-such-resource', 'see /openapi.json').problem),
  );
  app.get('/openapi.json', (_request, reply) => reply.send(document));
  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.path.replaceAll(/\{(\w+)\}/gu, ':$1'),
      handler: (request, reply) => answer(request, reply, route, options),
    });
  }
  return app;
}

async function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  route: Route,
  options: Pick<ConsoleOptions, 'tokens' | 'clock'>,
): Promise<FastifyReply> {
  const by = await admit(request, reply, route, options);
  const {
    status = 200,
    version,
    body,
  } = await route.answerTo({
    params: request.params,
    query: request.query,
    body: request.body,
    ifMatch: request.headers['if-match'],
    by,
  });
  reply.status(status).header('cache-control', 'no-store');
  if (version !== undefined) reply.header('etag', `"${version}"`);
  return reply.send(body);
}

/** The person whose token it is. @throws RequestRefused */
async function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  { scope }: Route,
  { tokens, clock }: Pick<ConsoleOptions, 'tokens' | 'clock'>,
): Promise<string> {
  const given = /^Bearer (\S+)$/u.exec(request.headers.authorization ?? '')?.[1];
  const token = given === undefined ? undefined : await tokens.holderOf(given, clock());
  if (token === undefined) {
    reply.header('www-authenticate', 'Bearer realm="tacet"');
    throw new RequestRefused(401, 'token-needed', 'a token that is known and not past its end is needed');
  }
  if (token.scopes.includes(scope)) return token.person;
  throw new RequestRefused(403, 'scope-needed', `this token lacks the scope ${scope}`);
}

function refuse(reply: FastifyReply, error: unknown, onFault: (error: unknown) => void): FastifyReply {
  const known = problemOf(error) ?? requestFault(error);
  if (known !== undefined) return send(reply, known);
  onFault(error);
  return send(reply, new RequestRefused(500, 'fault', 'Tacet could not do it; its log says why').problem);
}

/** What Fastify itself found wrong with a request: its body, its size, its type. */
function requestFault(error: unknown): Problem | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined;
  const status = Number(error.statusCode);
  if (status < 400 || status >= 500) return undefined;
  return new RequestRefused(status, 'malformed', error.message).problem;
}

function send(reply: FastifyReply, problem: Problem): FastifyReply {
  // As bytes: to a text Fastify adds a charset, which the media type does not have.
  return reply
    .status(problem.status)
    .header('content-type', problemType)
    .send(Buffer.from(JSON.stringify(problem)));
}
