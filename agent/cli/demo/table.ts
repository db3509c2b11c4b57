/** What became of the calls of one campaign. */
export interface CampaignOutcomes {
  campaign: string;
  /** The declared ceiling, 0..1. */
  target: number;
  /** INVITEs that arrived. */
  calls: number;
  /** Calls that somebody at the call centre answered: what the ceiling is a share of. */
  conversations: number;
  recorded: number;
  /** Selected, announced, refused: nothing kept. */
  refused: number;
  /** The caller gave up before anybody answered. */
  abandoned: number;
  busy: number;
  failed: number;
}

const columns = [
  'campaign',
  'calls',
  'conversations',
  'recorded',
  'refused',
  'abandoned',
  'busy',
  'failed',
  'target',
  'achieved',
] as const;

/**
 * The outcomes as a table for a terminal: a row per campaign, and the sum when there are several. The achieved rate is
 * recorded calls per conversation; the sum has no target of its own.
 */
export function renderOutcomes(campaigns: readonly CampaignOutcomes[]): string {
  const rows = campaigns.map((outcomes) => [
    outcomes.campaign,
    ...counts(outcomes),
    percent(outcomes.target),
    achieved(outcomes),
  ]);
  if (campaigns.length > 1) {
    const sum = total(campaigns);
    rows.push(['all', ...counts(sum), '', achieved(sum)]);
  }
  const widths = columns.map((title, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]!.length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[index]!) : cell.padStart(widths[index]!)))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  const body = rows.map(line);
  if (campaigns.length > 1) body.splice(-1, 0, rule);
  return `${[line(columns), rule, ...body].join('\n')}\n`;
}

export interface Progress {
  done: number;
  planned: number;
  recorded: number;
  refused: number;
  elapsedMs: number;
}

/** One line that a terminal can write over itself, never longer than `width` columns. */
export function progressLine(progress: Progress, width = 80): string {
  const barWidth = 20;
  const share = progress.planned === 0 ? 1 : Math.min(progress.done / progress.planned, 1);
  const filled = Math.floor(share * barWidth);
  const bar = `${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}`;
  const seconds = Math.floor(progress.elapsedMs / 1_000);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  const line = `[${bar}] ${clock}  ${progress.done}/${progress.planned} calls  ${progress.recorded} recorded  ${progress.refused} refused`;
  return line.slice(0, width);
}

type Counted = Omit<CampaignOutcomes, 'campaign' | 'target'>;

const counts = (outcomes: Counted): string[] =>
  [
    outcomes.calls,
    outcomes.conversations,
    outcomes.recorded,
    outcomes.refused,
    outcomes.abandoned,
    outcomes.busy,
    outcomes.failed,
  ].map(String);

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

const achieved = ({ recorded, conversations }: Counted): string =>
  conversations === 0 ? '-' : percent(recorded / conversations);

function total(campaigns: readonly CampaignOutcomes[]): Counted {
  const sum = (of: (outcomes: CampaignOutcomes) => number): number =>
    campaigns.reduce((soFar, outcomes) => soFar + of(outcomes), 0);
  return {
    calls: sum(({ calls }) => calls),
    conversations: sum(({ conversations }) => conversations),
    recorded: sum(({ recorded }) => recorded),
    refused: sum(({ refused }) => refused),
    abandoned: sum(({ abandoned }) => abandoned),
    busy: sum(({ busy }) => busy),
    failed: sum(({ failed }) => failed),
  };
}
