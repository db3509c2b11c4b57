/** The API over one agent's live campaigns, with a token for each person of the tests. */
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { CallRegistry } from '../../../agent/call/registry.ts';
import { buildConsole, type ConsoleOptions } from '../../../agent/console/server.ts';
import { Tokens, type Scope } from '../../../agent/console/tokens.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';
import { agentWith, Clock, law, type OneAgent } from '../campaigns/live-for-tests.ts';

export interface Answered {
  status: number;
  headers: Record<string, unknown>;
  body: unknown;
}

export interface Asking {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  by?: string;
  body?: object | string;
  ifMatch?: string;
}

export interface Console extends AsyncDisposable {
  app: FastifyInstance;
  agent: OneAgent;
  clock: Clock;
  calls: CallRegistry;
  tokens: Tokens;
  options: ConsoleOptions;
  faults: unknown[];
  secretOf(person: string): string;
  ask(asking: Asking): Promise<Answered>;
}

const people: Record<string, Scope[]> = {
  anna: ['read', 'campaigns:write', 'campaigns:approve'],
  bruno: ['read', 'campaigns:approve'],
  carla: ['read'],
  desk: ['calls:control'],
  dpo: ['objections'],
};

export async function consoleForTests(): Promise<Console> {
  const home = await temporaryFolder('console');
  const clock = new Clock();
  const agent = await agentWith({ clock });
  const tokens = new Tokens(join(home.path, 'console'));
  const secrets = new Map<string, string>();
  for (const [person, scopes] of Object.entries(people)) {
    secrets.set(person, (await tokens.create(person, scopes, clock.now, 30)).secret);
  }
  const calls = new CallRegistry();
  const faults: unknown[] = [];
  const options: ConsoleOptions = {
    address: '127.0.0.1',
    port: 0,
    tokens,
    live: agent.live,
    calls,
    sampler: { counts: () => Promise.resolve({ eligible: 10, recorded: 3, open: 1 }) },
    law,
    clock: () => clock.now,
    onFault: (error) => faults.push(error),
  };
  const app = buildConsole(options);
  return {
    app,
    agent,
    clock,
    calls,
    tokens,
    options,
    faults,
    secretOf: (person) => secrets.get(person)!,
    async ask({ method = 'GET', path, by, body, ifMatch }) {
      const response = await app.inject({
        method,
        url: path,
        headers: {
          ...(by === undefined ? {} : { authorization: `Bearer ${secrets.get(by) ?? by}` }),
          ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
          ...(typeof body === 'string' ? { 'content-type': 'application/json' } : {}),
        },
        ...(body === undefined ? {} : { payload: body }),
      });
      const text = response.body;
      return {
        status: response.statusCode,
        headers: response.headers,
        body: text === '' ? undefined : (JSON.parse(text) as unknown),
      };
    },
    async [Symbol.asyncDispose]() {
      await app.close();
      await agent[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}
