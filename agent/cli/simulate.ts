/** `tacet simulate`: what a rate would mean in volume, storage and money, and what the law says to it. */
import { parseArgs } from 'node:util';
import { loadConfig } from '../../config/load.ts';
import { TacetError } from '../../config/errors.ts';
import { percent } from '../law/explain.ts';
import { lawOf } from '../law/load.ts';
import { megabytesPerHour, simulate as simulationOf, type Simulation } from '../law/simulate.ts';
import { campaignNamed, configPath } from './options.ts';

const usage =
  'usage: tacet simulate --campaign X --calls-per-day N [--rate 0..1] [--minutes 4] [--days-per-week 5]\n' +
  '       [--refusals 0.05] [--price 0.02] [--json] [--config FILE]';

/** A figure of the command line is none, or none that can be. */
class FigureInvalid extends TacetError {}

export async function simulate(words: string[]): Promise<number> {
  const { values } = parseArgs({
    args: words,
    options: {
      config: { type: 'string' },
      campaign: { type: 'string' },
      rate: { type: 'string' },
      'calls-per-day': { type: 'string' },
      minutes: { type: 'string', default: '4' },
      'days-per-week': { type: 'string', default: '5' },
      refusals: { type: 'string', default: '0.05' },
      price: { type: 'string', default: '0.02' },
      json: { type: 'boolean' },
    },
  });
  if (values.campaign === undefined || values['calls-per-day'] === undefined) {
    console.error(usage);
    return 2;
  }
  const loaded = await loadConfig(configPath(values.config));
  const campaign = campaignNamed(values.campaign, loaded.campaigns);
  const assumptions = {
    rate: values.rate === undefined ? campaign.rate : figure('rate', values.rate, 1),
    callsPerDay: figure('calls-per-day', values['calls-per-day'], 10_000_000),
    minutes: figure('minutes', values.minutes, 1_440),
    daysPerWeek: figure('days-per-week', values['days-per-week'], 7),
    refusals: figure('refusals', values.refusals, 1),
    pricePerGbMonth: figure('price', values.price, 1_000_000),
  };
  const simulation = simulationOf(campaign, assumptions, new Date(), await lawOf(loaded));
  console.log(values.json === true ? JSON.stringify(simulation, undefined, 2) : renderSimulation(simulation));
  return simulation.verdict.kind === 'refused' ? 1 : 0;
}

function figure(name: string, written: string, most: number): number {
  const value = Number(written);
  if (written.trim() !== '' && value >= 0 && value <= most) return value;
  throw new FigureInvalid(`--${name}: "${written}" is not allowed; a number from 0 to ${most}`);
}

/** The simulation as text for a person. */
export function renderSimulation({ assumptions, perDay, kept, keptDays, ...rest }: Simulation): string {
  const { rate, callsPerDay, minutes, daysPerWeek, refusals, pricePerGbMonth } = assumptions;
  const stored = (
    name: string,
    { gigabytes, costPerMonth }: Simulation['kept']['g711'],
    perHour: number,
  ): string =>
    `  ${name.padEnd(9)}${rounded(gigabytes)} GB at ${perHour} MB an hour, ${rounded(costPerMonth)} a month`;
  return [
    `${rest.campaign} at ${percent(rate)} of ${callsPerDay} conversations of ${minutes} minutes, ${daysPerWeek} days a week`,
    '',
    'a day',
    `  announced ${rounded(perDay.announced)}`,
    `  refused   ${rounded(perDay.refused)}  (assumed: ${percent(refusals)} of those who hear the announcement)`,
    `  recorded  ${rounded(perDay.recorded)}  (${rounded(perDay.hours)} hours)`,
    '',
    `kept at any time, each recording ${keptDays} days`,
    `  ${rounded(kept.recordings)} recordings, ${rounded(kept.hours)} hours`,
    stored('G.711', kept.g711, megabytesPerHour.g711),
    stored('Opus', kept.opus, megabytesPerHour.opus),
    `  price     ${pricePerGbMonth} for a GB-month`,
    '',
    ...verdictLines(rest),
  ].join('\n');
}

function verdictLines({ verdict, effectiveRate }: Pick<Simulation, 'verdict' | 'effectiveRate'>): string[] {
  switch (verdict.kind) {
    case 'accepted':
      return ['law: accepted'];
    case 'needs-approval':
      return ['law: needs approval', ...verdict.reasons.map((reason) => `  - ${reason}`)];
    case 'refused':
      return [
        `law: refused (${percent(effectiveRate)} is what it leaves)`,
        ...verdict.reasons.map((reason) => `  - ${reason}`),
      ];
  }
}

function rounded(value: number): string {
  const digits = value >= 100 ? 0 : value >= 1 ? 1 : 2;
  return String(Number(value.toFixed(digits)));
}
