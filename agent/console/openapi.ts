/** The API as OpenAPI 3.1 describes it, from the same schemas that its requests are checked with. */
import { z } from 'zod';
import { version } from '../telemetry/version.ts';
import { problem, problemType } from './problem.ts';
import type { Route } from './route.ts';

type Json = Record<string, unknown>;

export function openApiOf(routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Tacet', version, description: 'Campaigns, approvals, stops, calls, agents, objections.' },
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: jsonOf(problem) },
      responses: {
        Problem: {
          description: 'What went wrong (RFC 9457).',
          content: { [problemType]: { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    },
  };
}

function operationOf({ does, scope, schemas, answer, locked }: Route): Json {
  const { params, query, body } = schemas;
  const ifMatch = {
    name: 'If-Match',
    in: 'header',
    required: true,
    schema: { type: 'string' },
    description: 'the ETag of what was read, or "*"',
  };
  const parameters = [
    ...parametersOf(params, 'path'),
    ...parametersOf(query, 'query'),
    ...(locked === true ? [ifMatch] : []),
  ];
  return {
    summary: does,
    security: [{ token: [scope] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: { required: true, content: { 'application/json': { schema: jsonOf(body, 'input') } } },
        }),
    responses: {
      '2XX': {
        description: 'Done.',
        ...(answer === undefined ? {} : { content: { 'application/json': { schema: jsonOf(answer) } } }),
      },
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query'): Json[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonOf(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, each]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: each,
  }));
}

function jsonOf(schema: z.ZodType, io: 'input' | 'output' = 'output'): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return json;
}
