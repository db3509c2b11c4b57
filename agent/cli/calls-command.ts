/** `tacet calls`: calls in progress at an agent, and orders about their recording, through the API. */
import { parseArgs } from 'node:util';
import { ConsoleClient, consoleOptions } from './console-client.ts';

const usage = `usage: tacet calls list
       tacet calls record | pause | resume | stop CALL --reason TEXT
       with each: [--json] [--config FILE | --url URL] [--token-file FILE]`;

interface InProgress {
  call: string;
  campaign?: string;
  direction: string;
  since: number;
  state: string;
}

export async function calls(words: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: { ...consoleOptions, reason: { type: 'string' } },
  });
  const [verb = '', call, ...rest] = positionals;
  const orders = ['record', 'pause', 'resume', 'stop'];
  if (rest.length > 0 || (verb === 'list') !== (call === undefined) || ![...orders, 'list'].includes(verb)) {
    console.error(usage);
    return 2;
  }
  const api = await ConsoleClient.open(values);
  if (call === undefined) {
    const answer = await api.ask<{ calls: InProgress[] }>('/v1/calls');
    console.log(
      values.json === true ? JSON.stringify(answer, undefined, 2) : answer.calls.map(line).join('\n'),
    );
    return 0;
  }
  const body = { reason: values.reason ?? '' };
  const answer = await api.ask<object>(`/v1/calls/${encodeURIComponent(call)}/${verb}`, {
    method: 'POST',
    body,
  });
  console.log(values.json === true ? JSON.stringify(answer) : `${call}: ${verb}: done`);
  return 0;
}

function line({ call, campaign = 'no campaign', direction, since, state }: InProgress): string {
  return `${call}  ${state}  ${direction}  ${campaign}  since ${new Date(since / 1_000).toISOString()}`;
}
