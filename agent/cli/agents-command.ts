/** `tacet agents`: who of the staff is protected, informed since when, and in which band, through the API. */
import { parseArgs } from 'node:util';
import { ConsoleClient, consoleOptions } from './console-client.ts';

const usage = `usage: tacet agents list
       tacet agents set AGENT [--protected | --unprotected] [--notice-on DATE] [--private-line NUMBER]...
                              [--band 0.2..0.4] [--reason TEXT]
       tacet agents remove AGENT
       with each: [--json] [--config FILE | --url URL] [--token-file FILE]`;

interface AgentShown {
  agent: string;
  protected?: boolean;
  noticeOn?: string;
  privateLines?: string[];
  band?: { from: number; to: number };
}

const options = {
  ...consoleOptions,
  protected: { type: 'boolean' },
  unprotected: { type: 'boolean' },
  'notice-on': { type: 'string' },
  'private-line': { type: 'string', multiple: true },
  band: { type: 'string' },
  reason: { type: 'string' },
} as const;

function wordsOf(args: string[]) {
  return parseArgs({ args, allowPositionals: true, options });
}

export async function agents(words: string[]): Promise<number> {
  const { values, positionals } = wordsOf(words);
  const [verb = '', agent, ...rest] = positionals;
  if (
    !['list', 'set', 'remove'].includes(verb) ||
    (verb === 'list') !== (agent === undefined) ||
    rest.length > 0
  ) {
    console.error(usage);
    return 2;
  }
  const api = await ConsoleClient.open(values);
  const path = `/v1/agents/${encodeURIComponent(agent ?? '')}`;
  if (verb === 'remove') await api.ask(path, { method: 'DELETE' });
  else if (verb === 'set') await api.ask(path, { method: 'PATCH', body: factsOf(values) });
  const answer = await api.ask<{ agents: AgentShown[] }>('/v1/agents');
  console.log(
    values.json === true ? JSON.stringify(answer, undefined, 2) : answer.agents.map(line).join('\n'),
  );
  return 0;
}

function factsOf(values: ReturnType<typeof wordsOf>['values']): object {
  const {
    protected: guarded,
    unprotected,
    'notice-on': noticeOn,
    'private-line': privateLines,
    band,
    reason,
  } = values;
  const [from, to] = (band ?? '').split('..').map(Number);
  return {
    ...(guarded === true ? { protected: true } : unprotected === true ? { protected: false } : {}),
    ...(noticeOn === undefined ? {} : { noticeOn }),
    ...(privateLines === undefined ? {} : { privateLines }),
    ...(band === undefined ? {} : { band: { from, to } }),
    ...(reason === undefined ? {} : { reason }),
  };
}

function line({ agent, protected: guarded, noticeOn, privateLines = [], band }: AgentShown): string {
  return [
    agent,
    guarded === true ? 'protected' : noticeOn === undefined ? 'not informed' : `informed on ${noticeOn}`,
    ...(privateLines.length === 0 ? [] : [`private: ${privateLines.join(', ')}`]),
    ...(band === undefined ? [] : [`band ${band.from}..${band.to}`]),
  ].join('  ');
}
