/** `tacet campaigns`: what campaigns are now, and what a supervisor may change about them, through the API. */
import { parseArgs } from 'node:util';
import { percent } from '../law/explain.ts';
import { ConsoleClient, consoleOptions } from './console-client.ts';

const usage = `usage: tacet campaigns list | show NAME | history [NAME] | proposals | stops
       tacet campaigns set-rate NAME RATE [--reason TEXT] [--version N]
       tacet campaigns reset NAME
       tacet campaigns propose NAME RATE --until DATE --justification TEXT --reference REF... [--legal-text TEXT]
       tacet campaigns approve | refuse PROPOSAL [--reason TEXT]
       tacet campaigns stop [NAME | --site SITE | --everything] --reason TEXT [--minutes N]
       tacet campaigns resume STOP
       with each: [--json] [--config FILE | --url URL] [--token-file FILE]`;

interface Shown {
  version: number;
  campaign: { name: string; rate: number; direction: string; purpose: string; dailyGuard?: number };
  file: { rate: number };
  freeCeiling: number;
  raisedUntil?: string;
  stopped: boolean;
}

const options = {
  ...consoleOptions,
  reason: { type: 'string' },
  version: { type: 'string' },
  until: { type: 'string' },
  justification: { type: 'string' },
  reference: { type: 'string', multiple: true },
  'legal-text': { type: 'string' },
  site: { type: 'string' },
  everything: { type: 'boolean' },
  minutes: { type: 'string' },
} as const;

type Words = ReturnType<typeof wordsOf>;

function wordsOf(args: string[]) {
  return parseArgs({ args, allowPositionals: true, options });
}

type Doing = (
  api: ConsoleClient,
  names: string[],
  values: Words['values'],
) => Promise<{ answer: unknown; text: string }>;

/** How many names each wants, at least and at most. */
const verbs: Record<string, { names: [number, number]; do: Doing }> = {
  list: { names: [0, 0], do: list },
  show: { names: [1, 1], do: show },
  history: { names: [0, 1], do: history },
  proposals: { names: [0, 0], do: proposals },
  stops: { names: [0, 0], do: stops },
  'set-rate': { names: [2, 2], do: setRate },
  reset: { names: [1, 1], do: reset },
  propose: { names: [2, 2], do: propose },
  approve: { names: [1, 1], do: (api, [id], values) => decide(api, id!, 'approve', values.reason) },
  refuse: { names: [1, 1], do: (api, [id], values) => decide(api, id!, 'refuse', values.reason) },
  stop: { names: [0, 1], do: stop },
  resume: { names: [1, 1], do: resume },
};

export async function campaigns(args: string[]): Promise<number> {
  const { values, positionals } = wordsOf(args);
  const [verb = '', ...names] = positionals;
  const found = verbs[verb];
  if (found === undefined || names.length < found.names[0] || names.length > found.names[1]) {
    console.error(usage);
    return 2;
  }
  const { answer, text } = await found.do(await ConsoleClient.open(values), names, values);
  console.log(values.json === true ? JSON.stringify(answer, undefined, 2) : text);
  return 0;
}

async function list(api: ConsoleClient): ReturnType<Doing> {
  const answer = await api.ask<{ campaigns: Shown[] }>('/v1/campaigns');
  return { answer, text: answer.campaigns.map(line).join('\n') };
}

async function show(api: ConsoleClient, [name]: string[]): ReturnType<Doing> {
  const answer = await api.ask<Shown>(`/v1/campaigns/${encodeURIComponent(name!)}`);
  return { answer, text: described(answer) };
}

async function history(api: ConsoleClient, [name]: string[]): ReturnType<Doing> {
  const query = name === undefined ? '' : `?campaign=${encodeURIComponent(name)}`;
  const answer = await api.ask<{
    changes: { version: number; at: string; by: string; reason?: string; deed: { kind: string } }[];
  }>(`/v1/history${query}`);
  const lines = answer.changes.map(({ version, at, by, reason, deed: { kind, ...facts } }) =>
    [`${version}  ${at}  ${by}  ${kind}`, JSON.stringify(facts), reason ?? ''].join('  ').trimEnd(),
  );
  return { answer, text: lines.join('\n') };
}

interface ProposalShown {
  id: string;
  state: string;
  campaign: string;
  rate: number;
  until: string;
  proposedBy: string;
  decidedBy?: string;
}

async function proposals(api: ConsoleClient): ReturnType<Doing> {
  const answer = await api.ask<{ proposals: ProposalShown[] }>('/v1/proposals');
  return { answer, text: answer.proposals.map(proposalLine).join('\n') };
}

function proposalLine({ id, state, campaign, rate, until, proposedBy, decidedBy }: ProposalShown): string {
  const by = decidedBy === undefined ? proposedBy : `${proposedBy}, decided by ${decidedBy}`;
  return `${id}  ${state}  ${campaign} at ${percent(rate)} until ${until}, proposed by ${by}`;
}

interface StopShown {
  id: string;
  scope: { of: string; campaign?: string; site?: string };
  by: string;
  until?: string;
  reason?: string;
}

async function stops(api: ConsoleClient): ReturnType<Doing> {
  const answer = await api.ask<{ stops: StopShown[] }>('/v1/stops');
  return { answer, text: answer.stops.map(stopLine).join('\n') };
}

function stopLine({ id, scope, by, until, reason }: StopShown): string {
  const what = scope.campaign ?? scope.site ?? scope.of;
  return `${id}  ${what} stopped by ${by} until ${until ?? 'resumed'}${reason === undefined ? '' : `: ${reason}`}`;
}

async function setRate(
  api: ConsoleClient,
  [name, rate]: string[],
  { reason, version }: Words['values'],
): ReturnType<Doing> {
  const path = `/v1/campaigns/${encodeURIComponent(name!)}`;
  const answer = await api.ask<Shown>(path, {
    method: 'PATCH',
    // Words that are no number are the API's to refuse.
    body: { rate: Number(rate), ...(reason === undefined ? {} : { reason }) },
    ifMatch: version === undefined ? '*' : `"${version}"`,
  });
  return { answer, text: line(answer) };
}

async function reset(api: ConsoleClient, [name]: string[]): ReturnType<Doing> {
  const path = `/v1/campaigns/${encodeURIComponent(name!)}`;
  const answer = await api.ask<Shown>(`${path}/changes`, { method: 'DELETE', ifMatch: '*' });
  return { answer, text: line(answer) };
}

async function propose(
  api: ConsoleClient,
  [name, rate]: string[],
  { until, justification, reference, 'legal-text': legalText }: Words['values'],
): ReturnType<Doing> {
  const { campaign } = await api.ask<Shown>(`/v1/campaigns/${encodeURIComponent(name!)}`);
  const end = new Date(until ?? '');
  const answer = await api.ask<ProposalShown>('/v1/proposals', {
    method: 'POST',
    body: {
      campaign: name,
      rate: Number(rate),
      purpose: campaign.purpose,
      justification: justification ?? '',
      references: reference ?? [],
      until: Number.isNaN(end.getTime()) ? (until ?? '') : end.toISOString(),
      ...(legalText === undefined ? {} : { legalText }),
    },
  });
  return { answer, text: proposalLine(answer) };
}

async function decide(
  api: ConsoleClient,
  id: string,
  verb: 'approve' | 'refuse',
  reason: string | undefined,
): ReturnType<Doing> {
  const answer = await api.ask<ProposalShown>(`/v1/proposals/${encodeURIComponent(id)}/${verb}`, {
    method: 'POST',
    body: reason === undefined ? {} : { reason },
  });
  return { answer, text: proposalLine(answer) };
}

async function stop(
  api: ConsoleClient,
  [name]: string[],
  { site, everything, minutes, reason }: Words['values'],
): ReturnType<Doing> {
  const scopes = [
    ...(name === undefined ? [] : [{ of: 'campaign', campaign: name }]),
    ...(site === undefined ? [] : [{ of: 'site', site }]),
    ...(everything === true ? [{ of: 'everything' }] : []),
  ];
  const answer = await api.ask<StopShown>('/v1/stops', {
    method: 'POST',
    body: {
      // None or several at once is the API's to refuse.
      scope: scopes.length === 1 ? scopes[0] : scopes,
      reason: reason ?? '',
      ...(minutes === undefined ? {} : { minutes: Number(minutes) }),
    },
  });
  return { answer, text: stopLine(answer) };
}

async function resume(api: ConsoleClient, [id]: string[]): ReturnType<Doing> {
  await api.ask(`/v1/stops/${encodeURIComponent(id!)}`, { method: 'DELETE' });
  return { answer: { resumed: id }, text: `${id} resumed` };
}

function line({ campaign, version, stopped, raisedUntil }: Shown): string {
  const state = [
    ...(stopped ? ['stopped'] : []),
    ...(raisedUntil === undefined ? [] : [`raised until ${raisedUntil}`]),
  ];
  return [`${campaign.name}  ${percent(campaign.rate)}  version ${version}`, ...state].join('  ');
}

function described(shown: Shown): string {
  const { campaign, file, freeCeiling } = shown;
  return [
    line(shown),
    `  ${campaign.direction}, for ${campaign.purpose}`,
    `  the file says ${percent(file.rate)}; one person may set up to ${percent(freeCeiling)}`,
    ...(campaign.dailyGuard === undefined ? [] : [`  at most ${campaign.dailyGuard} a day`]),
  ].join('\n');
}
