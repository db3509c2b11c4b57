/** The packs as a table for people: `config/law/README.md` shows it, and a test holds it to the files. */
import { switchedOff, type LawPack } from './packs.ts';

const marks = ['page', 'secondary', 'known', 'probable', 'weak', 'not-found'] as const;

export function packTable(packs: readonly LawPack[]): string {
  const rows = packs.map((pack) => [
    `\`${pack.pack}\``,
    pack.classes.join(', '),
    pack.mode,
    keeping(pack),
    marks.findLast((mark) => pack.sources.some(({ confidence }) => confidence === mark)) ?? '',
    switchedOff(pack) === undefined
      ? 'on'
      : pack.status === 'off'
        ? 'off'
        : `off until ${pack.counsel.join(', ')}`,
  ]);
  return [
    ['pack', 'classes', 'mode', 'kept at most', 'confidence', 'status'],
    rows[0]!.map(() => '---'),
    ...rows,
  ]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function keeping({ keep_max_days: days, keep_max_months: months, keep_min_months: least }: LawPack): string {
  const most = [
    ...(days === undefined ? [] : [`${days} days`]),
    ...(months === undefined ? [] : [`${months} months`]),
  ];
  const text = most.join(', ') || 'no figure';
  return least === undefined ? text : `${text}, and at least ${least} months`;
}
