/** `tacet objections`: persons who are not to be recorded, through the API; nothing of their number is kept. */
import { parseArgs } from 'node:util';
import { ConsoleClient, consoleOptions } from './console-client.ts';

const usage = `usage: tacet objections add | check | lift NUMBER [--purpose PURPOSE] [--reason TEXT]
       with each: [--json] [--config FILE | --url URL] [--token-file FILE]`;

const paths: Record<string, string> = {
  add: '/v1/objections',
  check: '/v1/objections/check',
  lift: '/v1/objections/lift',
};

export async function objections(words: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: { ...consoleOptions, purpose: { type: 'string' }, reason: { type: 'string' } },
  });
  const [verb = '', number, ...rest] = positionals;
  const path = paths[verb];
  if (path === undefined || number === undefined || rest.length > 0) {
    console.error(usage);
    return 2;
  }
  const { purpose, reason, json } = values;
  const api = await ConsoleClient.open(values);
  const answer = await api.ask<{ hash?: string; objects?: boolean } | undefined>(path, {
    method: 'POST',
    body: {
      number,
      ...(purpose === undefined ? {} : { purpose }),
      ...(reason === undefined || verb === 'check' ? {} : { reason }),
    },
  });
  const said =
    answer?.objects === undefined
      ? `objection ${verb === 'add' ? 'added' : 'lifted'}`
      : answer.objects
        ? 'objects: not recorded'
        : 'no objection';
  console.log(json === true ? JSON.stringify(answer ?? {}) : said);
  return 0;
}
