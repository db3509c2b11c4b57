/** `npm run tacet -- COMMAND`: a file a command, loaded only when it is called. */
import { messageOf, TacetError } from '../../config/errors.ts';

/** Runs with the words after the command's name; gives the exit status. */
type Command = (words: string[]) => Promise<number>;

const commands: Record<string, { does: string; load: () => Promise<Command> }> = {
  start: {
    does: '[--config FILE]                  run the agent',
    load: async () => (await import('./start.ts')).start,
  },
  demo: {
    does: '[--calls N] [--json]              a small call centre on loopback',
    load: async () => (await import('./demo.ts')).demo,
  },
  recordings: {
    does: 'list | export ID [--rtp] --out FILE  [--config FILE]',
    load: async () => (await import('./recordings-command.ts')).recordings,
  },
  verify: {
    does: '[--config FILE] [--json]         check the ledger against the store; exit 1 when something is wrong',
    load: async () => (await import('./verify-command.ts')).verify,
  },
  audit: {
    does: 'draws --day D [--ledger DIR]... [--json]   take the draws of a day again; exit 1 when one does not hold',
    load: async () => (await import('./audit-command.ts')).audit,
  },
  report: {
    does: 'agents [--campaign X] [--from D] [--to D]   how evenly the sample falls on the staff; exit 1 when an agent left the band',
    load: async () => (await import('./report-command.ts')).report,
  },
  explain: {
    does: 'CAMPAIGN [--from +33...] [--to +33...] [--json]   which law gives which value, and what is missing',
    load: async () => (await import('./explain.ts')).explain,
  },
  simulate: {
    does: '--campaign X --rate 0.5 --calls-per-day 2000      volume, storage, cost, and what the law says',
    load: async () => (await import('./simulate.ts')).simulate,
  },
  prompts: {
    does: 'check FILE... | add FILE --name NAME | list      audio of the site, checked and converted',
    load: async () => (await import('./prompts-command.ts')).prompts,
  },
  campaigns: {
    does: 'list | show | set-rate | propose | approve | refuse | stop | resume | history ...   through the API',
    load: async () => (await import('./campaigns-command.ts')).campaigns,
  },
  calls: {
    does: 'list | record | pause | resume | stop CALL     calls in progress, through the API',
    load: async () => (await import('./calls-command.ts')).calls,
  },
  objections: {
    does: 'add | check | lift NUMBER       who is not to be recorded, through the API',
    load: async () => (await import('./objections-command.ts')).objections,
  },
  agents: {
    does: 'list | set | remove AGENT       protected, informed since when, private lines, through the API',
    load: async () => (await import('./agents-command.ts')).agents,
  },
  token: {
    does: 'create | list | revoke          who may use the API',
    load: async () => (await import('./token-command.ts')).token,
  },
  check: {
    does: '[--config FILE]                  read the configuration and say what is wrong with it',
    load: async () => (await import('./check.ts')).check,
  },
};

async function main(words: string[]): Promise<number> {
  const [name = 'help', ...rest] = words;
  const command = commands[name];
  if (command === undefined) {
    const lines = Object.entries(commands).map(([each, { does }]) => `  tacet ${each.padEnd(11)}${does}`);
    console.error(['usage:', ...lines].join('\n'));
    return name === 'help' || name === '--help' ? 0 : 2;
  }
  return (await command.load())(rest);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  // An error of ours is one line for a person; anything else is a defect and shows where it happened.
  console.error(error instanceof TacetError || isUsageError(error) ? messageOf(error) : error);
  process.exitCode = isUsageError(error) ? 2 : 1;
}

/** What `parseArgs` throws for words it does not know. */
function isUsageError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}
