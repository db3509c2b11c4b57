/** `tacet token`: who may use the API. Works on the agent's own disk, so whoever can run it may hand out tokens. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../config/load.ts';
import { scope, Tokens, type Scope } from '../console/tokens.ts';
import { configPath } from './options.ts';

const usage = `usage: tacet token create --person NAME --scope SCOPE... [--days 90]
       tacet token list | revoke ID
       with each: [--config FILE]
scopes: ${scope.options.join(', ')}`;

export async function token(words: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      person: { type: 'string' },
      scope: { type: 'string', multiple: true },
      days: { type: 'string', default: '90' },
    },
  });
  const [verb, id, ...rest] = positionals;
  const scopes = (values.scope ?? []).map((each) => scope.safeParse(each).data);
  const days = Number(values.days);
  const creates = verb === 'create' && id === undefined && values.person !== undefined && scopes.length > 0;
  const fits = creates
    ? scopes.every((each) => each !== undefined) && days > 0 && days <= 3_650
    : (verb === 'list' && id === undefined) || (verb === 'revoke' && id !== undefined && rest.length === 0);
  if (!fits) {
    console.error(usage);
    return 2;
  }
  const { config, directory } = await loadConfig(configPath(values.config));
  const tokens = new Tokens(resolve(directory, config.dataDir, 'console'));
  if (creates) {
    const { secret, token: made } = await tokens.create(values.person!, scopes as Scope[], new Date(), days);
    console.error(
      `${made.id}: ${made.person}, ${made.scopes.join(' ')}, until ${made.expiresAt}; shown once:`,
    );
    console.log(secret);
    return 0;
  }
  if (id !== undefined) {
    const gone = await tokens.revoke(id);
    console.log(gone ? `${id} is taken away` : `there is no token ${id}`);
    return gone ? 0 : 1;
  }
  for (const each of await tokens.list()) {
    console.log(`${each.id}  ${each.person}  ${each.scopes.join(' ')}  until ${each.expiresAt}`);
  }
  return 0;
}
