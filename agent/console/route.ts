/** One way into the API: what it takes and gives is a schema, from which the check, the types and the document come. */
import type { z } from 'zod';
import type { Author } from '../campaigns/live.ts';
import { RequestRefused, type Problem } from './problem.ts';
import type { Scope } from './tokens.ts';

export interface Answer {
  status?: 200 | 201 | 204;
  /** The version of what is answered, for `If-Match`. */
  version?: number;
  body?: unknown;
}

interface Shape<Params, Query, Body> {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** OpenAPI's way of writing: `/v1/campaigns/{campaign}`. */
  path: string;
  scope: Scope;
  /** A sentence for the document. */
  does: string;
  params?: z.ZodType<Params>;
  query?: z.ZodType<Query>;
  body?: z.ZodType<Body>;
  answer?: z.ZodType;
  /** Whether what is changed must be named in the version that was read. */
  locked?: boolean;
  handle: (asked: Asked<Params, Query, Body>) => Promise<Answer> | Answer;
}

export interface Asked<Params, Query, Body> {
  params: Params;
  query: Query;
  body: Body;
  /** The person whose token it is. */
  by: string;
  /** Of `If-Match`; undefined for any version. */
  expected: number | undefined;
}

export interface RawRequest {
  params: unknown;
  query: unknown;
  body: unknown;
  ifMatch: string | undefined;
  by: string;
}

export interface Route extends Pick<
  Shape<never, never, never>,
  'method' | 'path' | 'scope' | 'does' | 'answer' | 'locked'
> {
  schemas: { params?: z.ZodType; query?: z.ZodType; body?: z.ZodType };
  /** @throws RequestRefused where the request does not fit, and what the route itself throws */
  answerTo(request: RawRequest): Promise<Answer>;
}

export function route<Params = undefined, Query = undefined, Body = undefined>(
  shape: Shape<Params, Query, Body>,
): Route {
  const { method, path, scope, does, answer, locked, params, query, body } = shape;
  return {
    method,
    path,
    scope,
    does,
    ...(answer === undefined ? {} : { answer }),
    ...(locked === undefined ? {} : { locked }),
    schemas: {
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { query }),
      ...(body === undefined ? {} : { body }),
    },
    async answerTo(request) {
      return await shape.handle({
        params: parsed(params, request.params, 'path'),
        query: parsed(query, request.query, 'query'),
        body: parsed(body, request.body ?? {}, 'body'),
        by: request.by,
        expected: locked === true ? expectedOf(request.ifMatch) : undefined,
      });
    },
  };
}

function parsed<Output>(schema: z.ZodType<Output> | undefined, value: unknown, place: string): Output {
  if (schema === undefined) return undefined as Output;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors: Problem['errors'] = result.error.issues.map(({ path, message }) => ({
    path: [place, ...path.map(String)].join('.'),
    message,
  }));
  throw new RequestRefused(400, 'malformed', `the ${place} is not as it must be`, errors);
}

function expectedOf(ifMatch: string | undefined): number | undefined {
  if (ifMatch === undefined) {
    throw new RequestRefused(
      428,
      'version-needed',
      'If-Match must name the version that you read (its ETag), or "*" for any',
    );
  }
  if (ifMatch.trim() === '*') return undefined;
  const version = /^"(\d+)"$/u.exec(ifMatch.trim())?.[1];
  if (version === undefined)
    throw new RequestRefused(400, 'malformed', `If-Match: ${ifMatch} is no ETag of ours`);
  return Number(version);
}

export function authorOf(by: string, reason: string | undefined): Author {
  return reason === undefined ? { by } : { by, reason };
}
